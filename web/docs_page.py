"""`/docs`: the OpenAPI document as a page, rendered here, that loads nothing at all."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; }
h3 { margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; }
details { margin: .5rem 0; }
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Return the document as a page."""
    return HTMLResponse(rendered(request.app.openapi()), headers={"Content-Security-Policy": POLICY})


def rendered(document: dict[str, Any]) -> str:
    """Return an OpenAPI document as HTML: each operation with its scope, parameters, body and answers."""
    info = document["info"]
    parts = [f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>", _prose(info["description"])]
    parts.append('<p><a href="/openapi.json">OpenAPI document</a></p>')
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault(operation["tags"][0], []).append(_operation(method, path, operation))
    for tag, rendered_operations in by_tag.items():
        parts += [f"<h2>{escape(tag)}</h2>", *rendered_operations]
    parts.append("<h2>Types</h2>")
    parts += [_schema(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}<title>relabel API</title></head><body>{"".join(parts)}</body>'


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = operation.get("x-relabel-scope")
    needs = f"Scope: <code>{escape(scope)}</code>." if scope else "Needs no token."
    parts = [f"<h3 id={operation['operationId']!r}><code>{method.upper()} {escape(path)}</code></h3>"]
    parts += [_prose(operation.get("description", "")), f"<p>{needs}</p>"]
    rows = [
        _row(f"{each['name']} ({each['in']})", _type_of(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", [])
    ]
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(_row("body", media, _type_of(content.get("schema", {}))))
    parts.append(f"<table>{''.join(rows)}</table>" if rows else "")
    answers = [
        _row(status, ", ".join(answer.get("content", {})), answer["description"])
        for status, answer in operation["responses"].items()
    ]
    return "".join([*parts, f"<details><summary>Answers</summary><table>{''.join(answers)}</table></details>"])


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = [
        _row(field, _type_of(about), about.get("description", ""))
        for field, about in schema.get("properties", {}).items()
    ]
    about = _prose(schema.get("description", ""))
    summary = f"<summary><code>{escape(name)}</code></summary>"
    return f"<details id={name!r}>{summary}{about}<table>{''.join(rows)}</table></details>"


def _row(*cells: str) -> str:
    first, *rest = map(escape, cells)
    return f"<tr><th scope=row><code>{first}</code></th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>"


def _type_of(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"array of {_type_of(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _prose(text: str) -> str:
    """Return paragraphs; what stands between backticks as code."""
    paragraphs = [escape(part.strip()) for part in text.split("\n\n") if part.strip()]
    coded = ["".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(each.split("`"))) for each in paragraphs]
    return "".join(f"<p>{each}</p>" for each in coded)
