"""The sample payloads are small, neutral and shaped like the events AWS really sends."""

import base64
import gzip
import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

FOLDER = Path(__file__).parents[2] / "sample_payloads"
FILES = sorted(path for path in FOLDER.iterdir() if not path.name.startswith("."))
MAX_BYTES = 2_000
ACCOUNT = "123456789012"
REGION = "us-east-1"

EVENTS_OF_SERVICES = {
    "alb.json",
    "apigateway-http.json",
    "apigateway-rest.json",
    "cloudwatch-logs.json",
    "codepipeline-job.json",
    "cognito-pre-signup.json",
    "dynamodb-stream.json",
    "eventbridge-custom.json",
    "eventbridge-schedule.json",
    "function-url.json",
    "iot-rule.json",
    "kinesis-stream.json",
    "s3-put.json",
    "sns.json",
    "sqs-batch.json",
}

KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.json")
ACCESS_KEY_ID = re.compile(r"A[KS]IA[A-Z2-7]{16}")
# A Kinesis shard id also ends in twelve digits.
TWELVE_DIGITS = re.compile(r"(?<!shardId-)\b\d{12}\b")
ARN_CANDIDATE = re.compile(r"\barn:[^\s\"&,]*")
ARN = re.compile(
    r"arn:aws:(?P<service>[a-z0-9-]+):(?P<region>[a-z]{2}-[a-z]+-\d)?:(?P<account>\d{12})?:[A-Za-z0-9][^\s]*",
)
GLOBAL_ARN_SERVICES = {"iam", "s3"}
IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
DOCUMENTATION_NETWORK = ipaddress.ip_network("192.0.2.0/24")
ISO_YEAR = re.compile(r"\b(\d{4})-\d{2}-\d{2}T\d{2}:\d{2}")

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


def event(name: str) -> dict[str, Any]:
    """Read one sample payload that is a JSON object."""
    loaded = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def log_document(payload: dict[str, Any]) -> dict[str, Any]:
    """Unpack what a CloudWatch Logs subscription carries."""
    packed = base64.b64decode(payload["awslogs"]["data"], validate=True)
    document = json.loads(gzip.decompress(packed))
    assert isinstance(document, dict)
    return document


def kinesis_texts(payload: dict[str, Any]) -> list[str]:
    """Decode the data of every Kinesis record."""
    return [base64.b64decode(record["kinesis"]["data"], validate=True).decode() for record in payload["Records"]]


def strings(value: Any) -> Iterator[str]:
    """Yield every key and every text of a JSON value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)


def readable_strings(path: Path) -> list[str]:
    """Every text of a file, with what stands encoded in it."""
    loaded = json.loads(path.read_text(encoding="utf-8"))
    found = list(strings(loaded))
    if path.name == "cloudwatch-logs.json":
        found += strings(log_document(loaded))
    if path.name == "kinesis-stream.json":
        found += kinesis_texts(loaded)
    return found


def arns(path: Path) -> list[str]:
    return [arn for text in readable_strings(path) for arn in ARN_CANDIDATE.findall(text)]


def common_log_time_in_ms(text: str) -> int:
    """Turn the time of an API request, such as 03/Feb/2026:10:15:30 +0000, into epoch milliseconds."""
    return int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()) * 1000


def assert_has_exactly(mapping: dict[str, Any], keys: str) -> None:
    assert sorted(mapping) == sorted(keys.split())


# What holds for every file.


def test_the_folder_holds_an_event_of_every_expected_service() -> None:
    assert {path.name for path in FILES} >= EVENTS_OF_SERVICES


@every_file
def test_file_names_are_kebab_case_json(path: Path) -> None:
    assert KEBAB_CASE.fullmatch(path.name)


@every_file
def test_files_stay_under_two_thousand_bytes(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES


@every_file
def test_files_are_json_indented_by_two_spaces_with_a_final_newline(path: Path) -> None:
    text = path.read_bytes().decode("utf-8")
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@every_file
def test_no_value_looks_like_a_real_access_key(path: Path) -> None:
    found = [key for text in readable_strings(path) for key in ACCESS_KEY_ID.findall(text)]
    assert [key for key in found if "EXAMPLE" not in key] == []


@every_file
def test_every_account_is_the_documentation_account(path: Path) -> None:
    accounts = {number for text in readable_strings(path) for number in TWELVE_DIGITS.findall(text)}
    assert accounts <= {ACCOUNT}


@every_file
def test_every_arn_is_well_formed_and_in_the_one_account_and_region(path: Path) -> None:
    for arn in arns(path):
        match = ARN.fullmatch(arn)
        assert match, arn
        service, region, account = match["service"], match["region"], match["account"]
        assert region == (None if service in GLOBAL_ARN_SERVICES else REGION), arn
        assert account == (None if service == "s3" else ACCOUNT), arn


@every_file
def test_every_ip_address_is_from_the_documentation_range(path: Path) -> None:
    found = {address for text in readable_strings(path) for address in IPV4.findall(text)}
    assert all(ipaddress.ip_address(address) in DOCUMENTATION_NETWORK for address in found)


@every_file
def test_every_timestamp_lies_in_2026(path: Path) -> None:
    years = {year for text in readable_strings(path) for year in ISO_YEAR.findall(text)}
    assert years <= {"2026"}


# Events that come as a batch of records.


@pytest.mark.parametrize(
    ("name", "records", "keys"),
    [
        (
            "s3-put.json",
            1,
            "eventVersion eventSource awsRegion eventTime eventName userIdentity requestParameters responseElements s3",
        ),
        (
            "sqs-batch.json",
            3,
            "messageId receiptHandle body attributes messageAttributes md5OfBody eventSource eventSourceARN awsRegion",
        ),
        ("sns.json", 1, "EventSource EventVersion EventSubscriptionArn Sns"),
        ("dynamodb-stream.json", 2, "eventID eventName eventVersion eventSource awsRegion dynamodb eventSourceARN"),
        (
            "kinesis-stream.json",
            2,
            "kinesis eventSource eventVersion eventID eventName invokeIdentityArn awsRegion eventSourceARN",
        ),
    ],
)
def test_batches_hold_records_with_the_keys_aws_sends(name: str, records: int, keys: str) -> None:
    payload = event(name)
    assert_has_exactly(payload, "Records")
    assert len(payload["Records"]) == records
    for record in payload["Records"]:
        assert_has_exactly(record, keys)


def test_s3_names_the_bucket_and_the_url_encoded_object_key() -> None:
    record = event("s3-put.json")["Records"][0]
    assert record["eventSource"] == "aws:s3"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["arn"] == f"arn:aws:s3:::{record['s3']['bucket']['name']}"
    stored = record["s3"]["object"]
    assert_has_exactly(stored, "key size eTag sequencer")
    assert " " in unquote_plus(stored["key"])
    assert " " not in stored["key"]
    assert isinstance(stored["size"], int)
    assert re.fullmatch(r"[0-9a-f]{32}", stored["eTag"])
    assert re.fullmatch(r"[0-9A-F]+", stored["sequencer"])


def test_sqs_attributes_are_text_even_where_they_are_numbers() -> None:
    for message in event("sqs-batch.json")["Records"]:
        assert_has_exactly(
            message["attributes"],
            "ApproximateReceiveCount SentTimestamp SenderId ApproximateFirstReceiveTimestamp",
        )
        assert all(isinstance(value, str) for value in message["attributes"].values())
        assert message["attributes"]["SentTimestamp"].isdecimal()


def test_sqs_messages_differ_and_carry_the_digest_of_their_body() -> None:
    messages = event("sqs-batch.json")["Records"]
    assert len({message["messageId"] for message in messages}) == len(messages)
    for message in messages:
        assert message["md5OfBody"] == hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()
        assert isinstance(json.loads(message["body"]), dict)


def test_sns_wraps_the_message_as_text_with_typed_attributes() -> None:
    record = event("sns.json")["Records"][0]
    notification = record["Sns"]
    assert_has_exactly(
        notification,
        "Type MessageId TopicArn Subject Message Timestamp SignatureVersion Signature SigningCertUrl UnsubscribeUrl "
        "MessageAttributes",
    )
    assert notification["Type"] == "Notification"
    assert record["EventSubscriptionArn"].startswith(notification["TopicArn"] + ":")
    assert isinstance(json.loads(notification["Message"]), dict)
    for attribute in notification["MessageAttributes"].values():
        assert_has_exactly(attribute, "Type Value")
        assert isinstance(attribute["Value"], str)


def test_dynamodb_images_are_typed_attribute_values_that_hold_the_keys() -> None:
    for record in event("dynamodb-stream.json")["Records"]:
        change = record["dynamodb"]
        images = [change[name] for name in ("NewImage", "OldImage") if name in change]
        assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
        assert len(images) == {"INSERT": 1, "MODIFY": 2, "REMOVE": 1}[record["eventName"]]
        for item in [change["Keys"], *images]:
            assert item.items() >= change["Keys"].items()
            for value in item.values():
                [(kind, content)] = value.items()
                assert kind in {"S", "N"}
                assert isinstance(content, str)
        assert change["SequenceNumber"].isdecimal()
        assert isinstance(change["SizeBytes"], int)
        assert isinstance(change["ApproximateCreationDateTime"], int)


def test_kinesis_data_decodes_from_base64_and_the_event_id_names_the_record() -> None:
    payload = event("kinesis-stream.json")
    assert all(isinstance(json.loads(text), dict) for text in kinesis_texts(payload))
    for record in payload["Records"]:
        assert_has_exactly(
            record["kinesis"],
            "kinesisSchemaVersion partitionKey sequenceNumber data approximateArrivalTimestamp",
        )
        assert record["eventID"] == f"shardId-000000000000:{record['kinesis']['sequenceNumber']}"
        assert isinstance(record["kinesis"]["approximateArrivalTimestamp"], float)


# Requests over HTTP.


def test_rest_api_event_has_the_v1_shape_with_a_resource_and_both_forms_of_headers() -> None:
    payload = event("apigateway-rest.json")
    assert_has_exactly(
        payload,
        "resource path httpMethod headers multiValueHeaders queryStringParameters multiValueQueryStringParameters "
        "pathParameters stageVariables requestContext body isBase64Encoded",
    )
    context = payload["requestContext"]
    assert context["resourceId"]
    assert context["resourcePath"] == payload["resource"]
    assert context["path"] == f"/{context['stage']}{payload['path']}"
    assert context["identity"]["sourceIp"] == payload["headers"]["X-Forwarded-For"]
    for one, many in (("headers", "multiValueHeaders"), ("queryStringParameters", "multiValueQueryStringParameters")):
        assert {name: values[-1] for name, values in payload[many].items()} == payload[one]


@pytest.mark.parametrize("name", ["apigateway-http.json", "function-url.json"])
def test_http_api_and_function_url_events_have_payload_format_2(name: str) -> None:
    payload = event(name)
    assert payload["version"] == "2.0"
    optional = {"cookies", "pathParameters", "queryStringParameters", "stageVariables"}
    required = "version routeKey rawPath rawQueryString headers requestContext body isBase64Encoded"
    assert_has_exactly({key: value for key, value in payload.items() if key not in optional}, required)
    context = payload["requestContext"]
    assert_has_exactly(
        context,
        "accountId apiId domainName domainPrefix http requestId routeKey stage time timeEpoch",
    )
    assert_has_exactly(context["http"], "method path protocol sourceIp userAgent")
    assert context["routeKey"] == payload["routeKey"]
    assert context["http"]["path"] == payload["rawPath"]
    assert context["domainName"].startswith(context["domainPrefix"] + ".")
    assert all(header == header.lower() for header in payload["headers"])


def test_http_api_event_matches_its_route_and_joins_repeated_parameters_with_commas() -> None:
    payload = event("apigateway-http.json")
    assert payload["requestContext"]["http"]["method"] == payload["routeKey"].split()[0]
    assert payload["requestContext"]["accountId"] == ACCOUNT
    path = payload["routeKey"].split()[1].format(**payload["pathParameters"])
    assert path == payload["rawPath"]
    assert payload["rawQueryString"].count("notify=") == len(payload["queryStringParameters"]["notify"].split(","))


def test_function_url_event_comes_from_a_lambda_url_domain_without_a_route() -> None:
    payload = event("function-url.json")
    context = payload["requestContext"]
    assert context["domainName"] == f"{context['apiId']}.lambda-url.{REGION}.on.aws"
    assert payload["headers"]["host"] == context["domainName"]
    assert payload["routeKey"] == context["stage"] == "$default"
    assert "pathParameters" not in payload


def test_alb_event_names_its_target_group() -> None:
    payload = event("alb.json")
    assert_has_exactly(
        payload,
        "requestContext httpMethod path queryStringParameters headers body isBase64Encoded",
    )
    assert_has_exactly(payload["requestContext"], "elb")
    assert ":targetgroup/" in payload["requestContext"]["elb"]["targetGroupArn"]


@pytest.mark.parametrize("name", ["alb.json", "apigateway-http.json", "function-url.json"])
def test_request_bodies_are_json_text_of_the_announced_length(name: str) -> None:
    payload = event(name)
    assert payload["isBase64Encoded"] is False
    assert isinstance(json.loads(payload["body"]), dict)
    assert payload["headers"]["content-length"] == str(len(payload["body"].encode()))


@pytest.mark.parametrize(
    ("name", "time", "epoch"),
    [
        ("apigateway-rest.json", "requestTime", "requestTimeEpoch"),
        ("apigateway-http.json", "time", "timeEpoch"),
        ("function-url.json", "time", "timeEpoch"),
    ],
)
def test_the_two_times_of_a_request_agree(name: str, time: str, epoch: str) -> None:
    context = event(name)["requestContext"]
    assert common_log_time_in_ms(context[time]) == context[epoch] // 1000 * 1000


# Events that come one at a time.


@pytest.mark.parametrize("name", ["eventbridge-schedule.json", "eventbridge-custom.json"])
def test_eventbridge_events_share_one_envelope(name: str) -> None:
    payload = event(name)
    assert_has_exactly(payload, "version id detail-type source account time region resources detail")
    assert payload["version"] == "0"
    assert isinstance(payload["resources"], list)
    assert isinstance(payload["detail"], dict)


def test_eventbridge_schedule_names_its_rule_and_has_no_detail() -> None:
    payload = event("eventbridge-schedule.json")
    assert (payload["source"], payload["detail-type"]) == ("aws.events", "Scheduled Event")
    assert [":rule/" in arn for arn in payload["resources"]] == [True]
    assert payload["detail"] == {}


def test_eventbridge_custom_event_has_a_source_of_its_own_and_detail() -> None:
    payload = event("eventbridge-custom.json")
    assert not payload["source"].startswith("aws.")
    assert payload["detail"]


def test_cloudwatch_logs_data_unzips_to_a_document_with_log_events() -> None:
    payload = event("cloudwatch-logs.json")
    assert_has_exactly(payload, "awslogs")
    assert_has_exactly(payload["awslogs"], "data")
    document = log_document(payload)
    assert_has_exactly(document, "messageType owner logGroup logStream subscriptionFilters logEvents")
    assert document["messageType"] == "DATA_MESSAGE"
    assert document["owner"] == ACCOUNT
    assert document["logEvents"]
    for entry in document["logEvents"]:
        assert_has_exactly(entry, "id timestamp message")
        assert isinstance(entry["id"], str)
        assert isinstance(entry["timestamp"], int)
        assert isinstance(entry["message"], str)


def test_cognito_asks_before_sign_up_with_every_answer_still_no() -> None:
    payload = event("cognito-pre-signup.json")
    assert_has_exactly(
        payload,
        "version region userPoolId userName callerContext triggerSource request response",
    )
    assert payload["triggerSource"] == "PreSignUp_SignUp"
    assert payload["userPoolId"].startswith(f"{REGION}_")
    assert_has_exactly(payload["callerContext"], "awsSdkVersion clientId")
    assert_has_exactly(payload["request"], "userAttributes validationData clientMetadata")
    assert all(isinstance(value, str) for value in payload["request"]["userAttributes"].values())
    assert payload["response"] == {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False}


def test_iot_rule_adds_topic_and_time_to_the_telemetry_without_an_envelope() -> None:
    payload = event("iot-rule.json")
    assert "Records" not in payload
    assert payload["topic"].split("/") == ["devices", payload["device_id"], "telemetry"]
    assert isinstance(payload["received_at"], int)
    sampled_at = datetime.fromisoformat(payload["sampled_at"])
    assert payload["received_at"] > sampled_at.timestamp() * 1000
    assert all(isinstance(value, float) for value in payload["readings"].values())


def test_codepipeline_job_carries_artifacts_and_obviously_fake_credentials() -> None:
    payload = event("codepipeline-job.json")
    assert_has_exactly(payload, "CodePipeline.job")
    job = payload["CodePipeline.job"]
    assert_has_exactly(job, "id accountId data")
    assert job["accountId"] == ACCOUNT
    data = job["data"]
    assert_has_exactly(
        data,
        "actionConfiguration inputArtifacts outputArtifacts artifactCredentials encryptionKey",
    )
    assert_has_exactly(data["actionConfiguration"]["configuration"], "FunctionName UserParameters")
    for artifact in [*data["inputArtifacts"], *data["outputArtifacts"]]:
        assert_has_exactly(artifact, "name revision location")
        assert_has_exactly(artifact["location"]["s3Location"], "bucketName objectKey")
    for secret in ("accessKeyId", "secretAccessKey", "sessionToken"):
        assert data["artifactCredentials"][secret].startswith("EXAMPLE")
