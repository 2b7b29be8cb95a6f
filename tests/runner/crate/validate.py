"""Validate a packed reduction with roc-validator, without a network.

`python validate.py FILE.zip` prints one line for each issue.
"""

import json
import sys
from typing import Any

from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.utils.http import HttpRequester

SCHEMA = "http://schema.org/"
# the terms of https://w3id.org/ro/crate/1.1/context that packed reductions use
TERMS = {
    name: SCHEMA + name
    for name in [
        "about",
        "actionStatus",
        "agent",
        "author",
        "contentSize",
        "CreateAction",
        "CreativeWork",
        "Dataset",
        "datePublished",
        "description",
        "encodingFormat",
        "hasPart",
        "identifier",
        "instrument",
        "license",
        "mentions",
        "name",
        "object",
        "Person",
        "result",
        "SoftwareApplication",
        "softwareVersion",
        "startTime",
        "version",
    ]
}
TERMS |= {
    "File": SCHEMA + "MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}
CONTEXTS: dict[str, dict[str, str]] = {
    "https://w3id.org/ro/crate/1.1/context": TERMS,
    "https://w3id.org/ro/terms/workflow-run/context": {},
}


class Response:
    """Stands for the answer of a server."""

    status_code = 200
    headers = {"Content-Type": "application/ld+json"}  # noqa: RUF012

    def __init__(self, context: dict[str, str]) -> None:
        self.text = json.dumps({"@context": context})
        self.content = self.text.encode()

    def json(self) -> Any:
        return json.loads(self.text)


def get(self: HttpRequester, address: str, **options: Any) -> Response:
    return Response(CONTEXTS[address])


def validate(archive: str) -> list[str]:
    HttpRequester.get = get
    settings = ValidationSettings(
        rocrate_uri=archive,
        profile_identifier="process-run-crate",
        requirement_severity=Severity.RECOMMENDED,
    )
    result = services.validate(settings)
    assert result.executed_checks
    return [
        f"{issue.severity.name} {issue.violatingEntity}: {issue.message}"
        for issue in result.get_issues()
    ]


if __name__ == "__main__":
    print("\n".join(validate(sys.argv[1])))
