"""Live tuning: the function re-invoked on AWS across memory sizes, and put back as it was. The only room with boto3."""
