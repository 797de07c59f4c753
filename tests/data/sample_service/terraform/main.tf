# The six functions of template.yaml, for Terraform.
variable "search_memory" {
  type    = number
  default = 1280
}

locals {
  code    = "../functions"
  runtime = "python3.13"
}

resource "aws_lambda_function" "orders" {
  function_name = "Orders"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.orders"
  timeout       = 10
  memory_size   = 128
}

resource "aws_lambda_function" "thumbnails" {
  function_name = "Thumbnails"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.thumbnails"
  timeout       = 10
  memory_size   = 128 # far too little
}

resource "aws_lambda_function" "reports" {
  function_name = "Reports"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.reports"
  timeout       = 10
  memory_size   = 1280
}

resource "aws_lambda_function" "invoices" {
  function_name = "Invoices"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.invoices"
  timeout       = 10
  memory_size   = 1024
}

resource "aws_lambda_function" "audit" {
  function_name = "Audit"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.audit"
  timeout       = 10
  memory_size   = 3008 # far too much
}

resource "aws_lambda_function" "search" {
  function_name = "Search"
  role          = "arn:aws:iam::123456789012:role/sample"
  filename      = local.code
  runtime       = local.runtime
  handler       = "app.search"
  timeout       = 10
  memory_size   = var.search_memory
}
