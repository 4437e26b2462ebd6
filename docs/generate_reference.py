"""Writes what the reference says of the code: settings, messages, API, commands, tables, metrics.

The pages are written by hand but for the parts between `<!-- generated: NAME -->` and `<!-- end -->`, each made by
the function of that name. With `--check` nothing is written; the exit status says whether a page is out of date.
"""

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any
from unittest.mock import patch

import typer
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from pydantic_settings import BaseSettings
from sqlalchemy.dialects import mysql, postgresql, sqlite

from oat.commands import cli
from oat.messages import ProgressReport, Result, Task
from oat.records import Fractal, schema
from oat.services import ADVICE, Statistics, metrics
from oat.settings import Limits, Settings, data_folder
from oat.web import Backend, application
from oat.web.metrics import exposition

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    cells = [head, ["---"] * len(head), *([str(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(row)} |\n".replace("|  |", "| |") for row in cells)


def code(value: object) -> str:
    """Return `value` as a code span; nothing for None."""
    return "" if value is None else f"`{value}`"


def fields_with_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return what a model says of its fields: their descriptions, or the docstrings below them."""
    definition = ast.parse(dedent(inspect.getsource(model))).body[0]
    said = {name: field.description or "" for name, field in model.model_fields.items()}
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and isinstance(after, ast.Expr):
            text = ast.literal_eval(after.value)
            said[node.target.id] = said.get(node.target.id) or " ".join(text.split())
    return said


def commands() -> dict[str, Any]:
    """Return all commands of `oat`, as Typer sees them."""
    with patch.object(cli, "_execute") as execute:
        cli.main()
    top: Any = typer.main.get_command(cli._application(execute.call_args.kwargs)).commands
    groups = {name: getattr(command, "commands", {"": command}) for name, command in top.items()}
    return {f"{name} {own}".strip(): each for name, group in groups.items() for own, each in group.items()}


def shared_options() -> dict[str, Any]:
    """Return the options that are variables as well, by variable."""
    return {each.envvar: each for command in commands().values() for each in command.params if each.envvar}


def default_of(model: type[BaseSettings], name: str) -> str:
    """Return the default of a setting as text."""
    value = model.model_fields[name].get_default(call_default_factory=True, validated_data={})
    if value in (None, "", ()) or isinstance(value, BaseModel):
        return "" if isinstance(value, BaseModel) else "none"
    return code(str(value).replace(str(data_folder()), "DATA"))


def settings() -> str:
    """Return the table of all variables."""
    options, rows = shared_options(), []
    for model, prefix in ((Settings, "OAT_"), (Limits, "OAT_MAX_")):
        said = fields_with_docstrings(model)
        for name, field in model.model_fields.items():
            if field.annotation is Limits:
                continue
            option = options.pop(variable := f"{prefix}{name}".upper(), None)
            text = said[name] or (option.help if option else "")
            if not text:
                raise ValueError(f"{variable} has neither a docstring nor a help text")
            rows.append((code(variable), code(option and option.opts[0]), default_of(model, name), text))
    for variable, option in options.items():
        default = "none" if option.default is None else code(option.default)
        rows.append((code(variable), code(option.opts[0]), default, option.help))
    return table(("variable", "option", "default", "meaning"), rows)


def _limits(part: dict[str, Any]) -> str:
    """Return in words what a JSON schema asks of a value."""
    part = next((each for each in part.get("anyOf", ()) if each.get("type") != "null"), part)
    words = [part.get("format") or part.get("type") or part.get("$ref", "").rpartition("/")[2]]
    if "enum" in part:
        words = [", ".join(code(each) for each in part["enum"])]
    if words == ["array"]:
        words = [f"list of {_limits(part['items'])}"]
    if "propertyNames" in part:
        words = [f"{_limits(part['propertyNames'])}: {_limits(part['additionalProperties'])}"]
    signs = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    words += [f"{sign} {part[key]:,.0f}" for key, sign in signs.items() if key in part]
    words += [f"{part[key]:,} characters at {end}" for key, end in (("minLength", "least"), ("maxLength", "most"))
              if key in part]  # fmt: skip
    words += [f"{part[key]:,} at most" for key in ("maxItems", "maxProperties") if key in part]
    words += [f"matches {code(part['pattern'])}"] if "pattern" in part else []
    return ", ".join(filter(None, words))


def _message(model: type[BaseModel]) -> str:
    """Return the fields of a message."""
    json_schema, said = model.model_json_schema(), fields_with_docstrings(model)
    required = json_schema.get("required", ())
    return table(
        ("field", "", "value", "meaning"),
        (
            (code(name), "required" if name in required else "", _limits(part), said[name])
            for name, part in json_schema["properties"].items()
        ),
    )


def _openapi() -> dict[str, Any]:
    somewhere = Settings(
        broker_url="filesystem:///nowhere", database_url="sqlite:////tmp/nowhere.db", target="/nowhere"
    )
    return application(Backend(somewhere)).openapi()


def operations() -> str:
    """Return the requests of the API."""
    text = ""
    for path, methods in _openapi()["paths"].items():
        for method, operation in methods.items():
            text += f"### {method.upper()} {path}\n\n{operation.get('description') or operation['summary']}\n\n"
            if body := operation.get("requestBody"):
                text += f"Body: {_limits(body['content']['application/json']['schema'])}.\n\n"
            answers = (
                f"{status} {kind.partition(';')[0]} {_limits(content.get('schema', {}))}".rstrip()
                for status, response in operation["responses"].items()
                for kind, content in (response.get("content") or {"": {}}).items()
                if status.startswith("2")
            )
            text += f"Response: {'; '.join(answers)}.\n\n"
            if parameters := operation.get("parameters"):
                rows = (
                    (code(each["name"]), each["in"], _limits(each["schema"]), each.get("description", ""))
                    for each in parameters
                )
                text += table(("parameter", "in", "value", "meaning"), rows) + "\n"
    return text


def schemas() -> str:
    """Return the JSON objects of the API."""
    text = ""
    for name, json_schema in sorted(_openapi()["components"]["schemas"].items()):
        if "properties" not in json_schema or name.endswith("ValidationError"):
            continue
        rows = (
            (code(field), _limits(part), part.get("description", ""))
            for field, part in json_schema["properties"].items()
        )
        text += (
            f"### {name}\n\n{json_schema.get('description', '')}\n\n{table(('field', 'value', 'meaning'), rows)}\n"
        )
    return text


def options() -> str:
    """Return the options that several commands share."""
    rows = ((code(each.opts[0]), code(name), each.help) for name, each in shared_options().items())
    return table(("option", "variable", "meaning"), rows)


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    return "" if option.default in (None, False) or not option.show_default else code(option.default)


def all_commands() -> str:
    """Return each command with its own options."""
    text = ""
    for name, command in commands().items():
        own = [each for each in command.params if not each.envvar]
        arguments = (each for each in own if not each.opts[0].startswith("-"))
        names = ((each.metavar or each.name).upper() + "…" * (each.nargs == -1) for each in arguments)
        text += f"### {' '.join(('oat', name, *names))}\n\n{command.help}\n\n"
        if own:
            rows = ((code(each.opts[0]), _default(each), each.help or "") for each in own)
            text += table(("option", "default", "meaning"), rows) + "\n"
        if shared := [code(each.opts[0]) for each in command.params if each.envvar]:
            text += f"And {', '.join(shared)}.\n\n"
    return text


def tables() -> str:
    """Return the tables of the database."""
    said = {name: field.description or "" for name, field in Fractal.model_fields.items()}
    text = ""
    for each in schema.metadata.sorted_tables:
        rows = []
        for column in each.columns:
            types = [column.type.compile(d.dialect()) for d in (sqlite, mysql, postgresql)]
            null = "primary key" if column.primary_key else "" if column.nullable else "not null"
            rows.append((code(column.name), *types, null, said.get(column.name, "")))
        text += (
            f"## {each.name}\n\n" + table(("column", "SQLite", "MySQL", "PostgreSQL", "", "meaning"), rows) + "\n"
        )
        for index in sorted(each.indexes, key=lambda index: str(index.name)):
            on = ", ".join(code(getattr(column, "name", column)) for column in index.expressions)
            text += f"Index `{index.name}` on {on}.\n\n"
    return text


def service_metrics() -> str:
    """Return the metrics that producer, worker and tracker show."""
    ours = {id(each) for each in vars(metrics).values()}
    families = [
        (family, getattr(collector, "_labelnames", ()))
        for collector in REGISTRY._collector_to_names
        if id(collector) in ours
        for family in collector.collect()
    ]
    rows = (
        (code(f.name + "_total" * (f.type == "counter")), f.type, ", ".join(map(code, labels)), f.documentation)
        for f, labels in sorted(families, key=lambda pair: pair[0].name)
    )
    return table(("metric", "type", "labels", "meaning"), rows)


def gallery_metrics() -> str:
    """Return the metrics that `oat web` shows."""
    now = "2026-01-01T00:00:00Z"
    worker = {"name": "w", "images_per_second": 1, "last_seen": now}
    numbers = dict.fromkeys(Statistics.model_fields, 1)
    text = exposition(Statistics.model_validate(numbers | {"at": now, "workers": [worker], "warnings": []}))
    rows = (
        (code(f.name), f.type, ", ".join(code(each) for each in f.samples[0].labels), f.documentation)
        for f in text_string_to_metric_families(text.decode())
    )
    return table(("metric", "type", "labels", "meaning"), rows)


def audit_problems() -> str:
    """Return what an audit may find, and what to do about each."""
    return table(("problem", "meaning: what to do"), ((code(each.value), text) for each, text in ADVICE.items()))


MAKERS: tuple[Callable[[], str], ...] = (
    settings, operations, schemas, options, all_commands, tables, service_metrics, gallery_metrics, audit_problems,
)  # fmt: skip

MESSAGES = {"task": Task, "result": Result, "progress_report": ProgressReport}


def main() -> int:
    """Write the pages, or check them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is stale")
    check = parser.parse_args().check
    made: dict[str, Callable[[], str]] = {each.__name__: each for each in MAKERS}
    made |= {name: partial(_message, model) for name, model in MESSAGES.items()}
    used, stale = set(), []
    for page in sorted(DOCS.rglob("*.md")):
        before = page.read_text()
        used |= {name for _, name, _ in BLOCK.findall(before)}
        after = BLOCK.sub(lambda block: f"{block[1]}\n{made[block[2]]().strip()}\n\n{block[3]}", before)
        if after != before:
            stale.append(page)
            if not check:
                page.write_text(after)
    if missing := made.keys() - used:
        print(f"on no page: {', '.join(sorted(missing))}")
    if not check:
        return bool(missing)
    for page in stale:
        print(f"{page.relative_to(DOCS.parent)} does not say what the code does: run docs/generate_reference.py")
    return bool(missing or stale)


if __name__ == "__main__":
    sys.exit(main())
