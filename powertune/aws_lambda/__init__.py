"""What AWS Lambda is: memory sizes, the CPU law, REPORT records and prices. Pure, no network."""
