"""The docs against the code: every setting, command, route and make target is there, and none that does not exist."""

import re
from pathlib import Path

from click import Group

from pclient.commands import pclient as cli
from pserver.api import account_api, client_api, peer_api

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
REST = (ROOT / "docs" / "REST.md").read_text()
_SETTING = re.compile(r"\b(?:LOCATOR|PSERVER|PCLIENT)_[A-Z_]+[A-Z]\b")
_INTERNAL = {"LOCATOR_AUDIENCE"}  # constants that only look like settings


def _settings_in(*paths: str) -> set[str]:
    found: set[str] = set()
    for path in paths:
        found |= set(_SETTING.findall((ROOT / path).read_text()))
    return found - _INTERNAL


def _code_settings() -> set[str]:
    return _settings_in("central_server/settings.py", "pserver/settings.py", "pserver/bounds.py", "pclient/settings.py")


def test_every_setting_is_in_the_readme() -> None:
    written = set(_SETTING.findall(README))
    assert not {name for name in _code_settings() if not {name, name.removesuffix("_FILE")} & written}


def test_the_docs_name_no_setting_that_does_not_exist() -> None:
    written = _settings_in("README.md", ".env.example", "docs/ARCHITECTURE.md", "docs/REST.md")
    known = _code_settings()
    assert not {name for name in written if name not in known and name.removesuffix("_FILE") not in known}


def test_every_command_is_in_the_readme() -> None:
    assert isinstance(cli, Group)
    missing = [name for name in cli.commands if not re.search(rf"`[^`\n]*\b{name}\b", README)]
    assert not missing


def test_every_route_is_in_the_rest_document() -> None:
    told = re.sub(r"\{[^}]*\}", "{}", REST)
    for routes in (peer_api.routes, client_api.routes, account_api.routes):
        for path in _paths(routes):
            assert re.sub(r"<[^>]*>", "{}", path) in told, path


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", README, re.MULTILINE)) <= targets


def _paths(blueprint: object) -> list[str]:
    """The rules that a blueprint was given."""
    from flask import Flask

    app = Flask("docs")
    app.url_map.converters["name"] = app.url_map.converters["path"]
    app.register_blueprint(blueprint)  # type: ignore[arg-type]  # a Blueprint of APIFlask
    return [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
