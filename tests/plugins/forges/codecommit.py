"""A fake of AWS CodeCommit, whose requests and answers are checked by botocore's own model."""

from __future__ import annotations

import base64
import json
import re

import botocore.session
from botocore.validate import ParamValidator

from .repository import Link, Submodule
from .server import Fake, Reply

MODEL = botocore.session.get_session().get_service_model("codecommit")


class CodeCommitFake(Fake):
    def answer(self, asked):
        operation = MODEL.operation_model(asked.headers["x-amz-target"].rpartition(".")[2])
        self.operation, given = operation, json.loads(asked.headers["body"])
        assert asked.headers["x-amz-target"].startswith(MODEL.metadata["targetPrefix"])
        self.check(operation.input_shape, given)
        self.asked.append(asked)
        if self.faults:
            return self.faults.pop(0)
        if given["repositoryName"] != self.repository.name.split("/")[1]:
            return self.failure("RepositoryDoesNotExistException", "there is none")
        result = getattr(self, operation.name)(**given)
        if isinstance(result, Reply):
            return result
        self.check(operation.output_shape, result)
        text = json.dumps(result, default=lambda data: base64.b64encode(data).decode())
        return Reply(200, text.encode(), "application/x-amz-json-1.1")

    def check(self, shape, value):
        report = ParamValidator().validate(value, shape)
        assert not report.has_errors(), report.generate_report()
        assert value.keys() <= shape.members.keys()

    def failure(self, code, message, status=400):
        assert code in [shape.name for shape in self.operation.error_shapes]
        return Reply(status, {"__type": code, "message": message})

    def GetRepository(self, repositoryName):
        about = {"repositoryName": repositoryName}
        if self.repository.default:
            about["defaultBranch"] = self.repository.default
        return {"repositoryMetadata": about}

    def GetBranch(self, repositoryName, branchName):
        if not re.fullmatch(r"[\w/.+@-]+", branchName):
            return self.failure("InvalidBranchNameException", "not a name")
        if branchName not in self.repository.branches:
            return self.failure("BranchDoesNotExistException", "there is none")
        commit = self.repository.branches[branchName]
        return {"branch": {"branchName": branchName, "commitId": commit}}

    def GetFile(self, repositoryName, filePath, commitSpecifier="HEAD"):
        specifier = commitSpecifier
        sha = self.repository.commit(specifier)
        if re.fullmatch("[0-9a-f]{4,39}", specifier):
            return self.failure("InvalidCommitException", "not a full SHA")
        if sha is None:
            return self.failure("CommitDoesNotExistException", "there is none")
        found = self.repository.at(sha, filePath)
        if found is None or isinstance(found, (list, Submodule)):
            return self.failure("FileDoesNotExistException", "there is none")
        mode = "SYMLINK" if isinstance(found, Link) else "NORMAL"
        found = found.target.encode() if isinstance(found, Link) else found
        about = {"commitId": sha, "blobId": "0" * 40, "filePath": filePath}
        return {**about, "fileMode": mode, "fileSize": len(found), "fileContent": found}
