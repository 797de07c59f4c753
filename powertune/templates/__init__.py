"""What is configured, read from where people write it: templates of SAM, CloudFormation, CDK, Serverless, Terraform.

Reading and editing are told apart by content, not by the file's name alone; each format is a module of this room.
"""
