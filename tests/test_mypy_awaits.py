"""The setting `require_await`; mypy tests in tests/types what the plugin reports."""

from pathlib import Path

import pytest

pytest.importorskip("mypy_django_plugin", reason="only with the extra 'check'")

from vinyl.mypy_awaits import is_await_required

INI = "[mypy.plugins.django-stubs]\ndjango_settings_module = x\n"
TOML = '[tool.django-stubs]\ndjango_settings_module = "x"\n'


@pytest.mark.parametrize(
    ("name", "text", "required"),
    [
        ("mypy.ini", "[mypy]\n", True),
        ("mypy.ini", INI, True),
        ("mypy.ini", f"{INI}require_await = True\n", True),
        ("setup.cfg", f"{INI}require_await = no\n", False),
        ("pyproject.toml", "", True),
        ("pyproject.toml", TOML, True),
        ("pyproject.toml", f"{TOML}require_await = true\n", True),
        ("pyproject.toml", f"{TOML}require_await = false\n", False),
    ],
)
def test_setting(tmp_path: Path, name: str, text: str, required: bool) -> None:
    file = tmp_path / name
    file.write_text(text)
    assert is_await_required(str(file)) is required


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("mypy.ini", f"{INI}require_await = maybe\n", "'maybe'"),
        ("pyproject.toml", f'{TOML}require_await = "false"\n', "'false'"),
        ("pyproject.toml", f"{TOML}require_await = 0\n", "0"),
    ],
)
def test_not_a_boolean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, shown: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(SystemExit) as exit_:
        is_await_required(str(file))
    assert exit_.value.code == 2
    assert f"require_await is {shown} in the section" in capsys.readouterr().err
