from pathlib import Path

import pytest

from fabricscope.cli.live_commands import live
from fabricscope.config import DEFAULT, GIVEN, LiveSettings, settle
from fabricscope.errors import ConfigError


def written(folder: Path, text: str) -> str:
    path = folder / "fabricscope.toml"
    path.write_text(text)
    return str(path)


def test_the_command_line_goes_before_the_file_and_that_before_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, 'interface = ["eth2"]\nring = 256\n[taps]\neth2 = "a-b:up"\n')
    settings, sources = settle(path, {"ring": 512, "taps": {"eth3": "a-c"}})
    assert settings.interface == ("eth2",)
    assert settings.ring == 512
    assert settings.taps == {"eth2": "a-b:up", "eth3": "a-c"}
    assert settings.keep == "30d"
    assert sources["interface"] == path
    assert sources["ring"] == GIVEN
    assert sources["taps"] == f"{path}, {GIVEN}"
    assert sources["keep"] == DEFAULT


def test_no_file_is_needed() -> None:
    assert settle("", {}).settings == LiveSettings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ring = 1", "ring: input should be greater than or equal to 16, not 1"),
        ('ring = "1"', "ring: input should be a valid integer, not '1'"),
        ("interfaces = []", "interfaces: there is no such setting; did you mean interface?"),
        ("zzz = 1", "zzz: there is no such setting; see docs/fabricscope.toml"),
        ("[rates]\nx = 'fast'", "rates.x: input should be a valid number, not 'fast'"),
        ("processes = 65", "processes: input should be less than or equal to 64, not 65"),
        ("interface = 'eth2'", "interface: input should be a valid tuple, not 'eth2'"),
        ("a = ", "not TOML: Invalid value (at end of document)"),
        ("a = " + "[" * 5_000, "not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        settle(path, {})
    assert path in str(caught.value)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_on_the_command_line_is_said_with_the_option() -> None:
    with pytest.raises(ConfigError, match=r"^--link-rate: input should be greater than 0, not 0"):
        settle("", {"link_rate": 0.0})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config .*nosuch.toml: no such file"):
        settle(str(tmp_path / "nosuch.toml"), {})
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bytes.toml: not TOML"):
        settle(str(tmp_path / "bytes.toml"), {})


def test_options_have_the_defaults_of_their_settings() -> None:
    defaults = LiveSettings()
    arguments = list(live.__annotations__)[1 : 1 + len(live.__defaults__ or ())]
    told = dict(zip(arguments, live.__defaults__ or (), strict=True))
    for name, value in told.items():
        if name in LiveSettings.model_fields:
            assert (value or getattr(defaults, name)) == getattr(defaults, name), name


def test_the_sample_in_the_documentation_is_a_configuration(repository: Path) -> None:
    path = repository / "docs" / "fabricscope.toml"
    settings = settle(str(path), {}).settings
    assert settings.interface
    text = path.read_text()
    for name in LiveSettings.model_fields:
        assert name in text, f"{name} is not in the sample"
