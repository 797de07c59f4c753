variable "memory" {
  type    = number
  default = 1280
}

variable "search_memory" {
  type    = number
  default = 1280
}

data "archive_file" "functions" {
  type        = "zip"
  source_dir  = "${path.module}/functions"
  output_path = "${path.module}/functions.zip"
}

resource "aws_lambda_function" "orders" {
  function_name = "Orders"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.orders"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = 128
}

resource "aws_lambda_function" "thumbnails" {
  function_name = "Thumbnails"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.thumbnails"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = 128 # far too little
}

resource "aws_lambda_function" "reports" {
  function_name = "Reports"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.reports"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = var.memory
}

resource "aws_lambda_function" "invoices" {
  function_name = "Invoices"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.invoices"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = 1024
}

resource "aws_lambda_function" "audit" {
  function_name = "Audit"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.audit"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = 3008 # far too much
}

resource "aws_lambda_function" "search" {
  function_name = "Search"
  role          = "arn:aws:iam::123456789012:role/sample"
  runtime       = "python3.13"
  handler       = "app.search"
  filename      = data.archive_file.functions.output_path
  timeout       = 10
  memory_size   = var.search_memory
}
