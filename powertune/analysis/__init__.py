"""What runs mean: statistics, the duration model and the recommendation. Pure; numpy and no other library."""
