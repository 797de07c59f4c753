"""Small handlers to try powertune on. Their inputs are the samples @primes, @waiting and @mixed."""
