"""Write what Prefect 1.4.1 says of its storages: their signatures, and what they serialize to.

Recorded once, with the environment of the fixture ``prefect1``; a test compares the record with
what that environment says now:

    python make_prefect1_storages.py fixtures/prefect-1.4.1-storages.json
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

from prefect import Flow, storage

CLASSES = [
    "Storage", "Local", "Module", "S3", "GCS", "Azure", "Git", "GitHub", "GitLab", "Bitbucket",
    "CodeCommit", "Docker", "Webhook",
]  # fmt: skip

WEBHOOK = {
    "build_request_kwargs": {
        "url": "https://files.example.com/etl",
        "headers": {"X-Key": "${KEY}"},
    },
    "build_request_http_method": "PUT",
    "get_flow_request_kwargs": {"url": "https://files.example.com/etl", "params": {"raw": "1"}},
    "get_flow_request_http_method": "GET",
}

# Explicit keys and paths: the others have the time in them.
STORAGES = [
    storage.Local("/srv/flows", validate=False, path="/srv/flows/etl.py", stored_as_script=True),
    storage.Local("/srv/flows", validate=False, path="company.flows:etl", stored_as_script=True),
    storage.Module("company.flows", secrets=["API_KEY"]),
    storage.S3(
        "flows",
        key="etl",
        client_options={"endpoint_url": "https://s3.example.com", "aws_secret_access_key": "open"},
        upload_options={"ServerSideEncryption": "AES256"},
        secrets=["AWS_CREDENTIALS"],
        labels=["gpu"],
    ),
    storage.S3("flows", key="etl.py", stored_as_script=True),
    storage.GCS("flows", key="etl", project="acme"),
    storage.Azure("flows", connection_string_secret="AZURE", blob_name="etl", overwrite=True),
    storage.Git("flows/etl.py", repo="acme/flows", git_token_secret_name="TOKEN", tag="v1"),
    storage.Git("etl.py", git_clone_url_secret_name="CLONE_URL", commit="0" * 40, use_ssh=False),
    storage.GitHub("acme/flows", "flows/etl.py", ref="main", access_token_secret="TOKEN"),
    storage.GitLab("acme/flows", host="https://gitlab.example.com", path="flows/etl.py"),
    storage.Bitbucket("ACME", "flows", path="flows/etl.py", host="https://bitbucket.example.com"),
    storage.Bitbucket(
        "ACME",
        "flows",
        workspace="acme",
        path="flows/etl.py",
        ref="main",
        cloud_username_secret="USER",
        cloud_app_password_secret="PASSWORD",
    ),
    storage.CodeCommit("flows", path="flows/etl.py", client_options={"region_name": "eu-west-1"}),
    storage.Docker("registry.example.com/flows", image_name="etl", image_tag="1"),
    storage.Webhook(**WEBHOOK),
]


def signature(name: str) -> list[dict[str, object]]:
    parameters = list(inspect.signature(getattr(storage, name).__init__).parameters.values())[1:]
    return [
        {"name": each.name, "required": each.default is each.empty}
        | ({} if each.default is each.empty else {"default": each.default})
        for each in parameters
        if each.kind is not each.VAR_KEYWORD
    ]


def serialized(holder: storage.Storage) -> dict[str, object]:
    # Where adding would write a file or ask for a script, what it notes is all that counts here.
    if type(holder) is storage.Docker:
        holder.flows["etl"] = "/opt/prefect/flows/etl.prefect"
    else:
        holder.add_flow(Flow("etl"))
    return dict(holder.serialize())


record = {
    "signatures": {name: signature(name) for name in CLASSES},
    "storages": [serialized(each) for each in STORAGES],
}
# Not to the standard output, where Prefect logs.
Path(sys.argv[1]).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
