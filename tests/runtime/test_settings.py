"""The configuration: where values come from, and what is said about those that can't be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dca_daemon.domain.errors import ConfigError
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.runtime.settings import Settings, load_settings, secret_parts
from dca_daemon.runtime.settings_sources import Source

FERNET_KEY = "A" * 43 + "="
COMPLETE = f"""
[database]
url = "postgresql://dca:pw-of-books@127.0.0.1/dca"
[pool]
currency = "GTQ"
[lamassu]
dsn = "host=127.0.0.1 dbname=lamassu password='pw of lamassu'"
[lnbits]
url = "https://lnbits.example.com/"
admin_key = "0123456789abcdef"
[security]
encryption_keys = "{FERNET_KEY}"
"""

Load = Callable[[str], Settings]


@pytest.fixture
def load(clean_environment: Path) -> Load:
    def load(text: str) -> Settings:
        (clean_environment / "config.toml").write_text(text)
        return load_settings()

    return load


def refusal(load: Load, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(text)
    return str(caught.value)


def test_a_complete_file(load: Load) -> None:
    settings = load(COMPLETE)
    settings.require("database", "pool", "lamassu", "lnbits", "security")
    assert settings.database.dsn == "postgresql://dca:pw-of-books@127.0.0.1/dca"
    assert settings.database.sqlalchemy_url == "postgresql+psycopg://dca:pw-of-books@127.0.0.1/dca"
    assert settings.pool.name == "default"
    assert not settings.pool.new_machines_wait
    assert settings.lamassu.split_method is SplitMethod.RECORDED
    assert settings.lamassu.charge is Charge.PRINCIPAL
    assert settings.lamassu.listen_dsn_or_dsn == settings.lamassu.dsn.get_secret_value()
    assert settings.lnbits.url == "https://lnbits.example.com"
    assert settings.security.fernet_keys == (FERNET_KEY,)
    assert settings.payouts.invoice_expiry_seconds == 604_800
    assert settings.http.port == 8017
    assert settings.config_path == Path("config.toml")
    assert settings.source_of("pool.currency") is Source.FILE
    assert settings.source_of("pool.name") is Source.DEFAULT


def test_without_any_configuration_only_what_is_asked_for_is_missing(clean_environment: Path) -> None:
    settings = load_settings()
    assert settings.config_path is None
    assert settings.payouts.enabled and settings.log.level == "info"
    with pytest.raises(ConfigError) as caught:
        settings.require("database", "lnbits")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "setting database.url is missing",
        "setting lnbits.url is missing",
        "setting lnbits.admin_key is missing",
    ]
    assert 'url = "https://lnbits.example.com"' in lines[1] and "DCA_LNBITS__URL" in lines[1]
    assert "lnbits.admin_key_file" in lines[2]
    with pytest.raises(ConfigError, match=r"setting pool\.currency is missing"):
        _ = settings.pool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("currency = 'GTQ'", "unknown key outside of a section: 'currency'"),
        ("[lnbit]", "unknown section 'lnbit'; did you mean lnbits?"),
        ("lnbits = 3", "lnbits must be a section, written [lnbits]"),
        ("[lnbits]\nadmin_kay = 'x'", "unknown setting lnbits.admin_kay; did you mean lnbits.admin_key?"),
        ("[pool]\nqqq = 1", "unknown setting pool.qqq"),
        ("[pool]\ncurrency = 'GTX'", "pool.currency = \"GTX\" (from file): unknown currency 'GTX'"),
        (
            "[database]\npool_size = 0",
            "database.pool_size = 0 (from file): must be greater than or equal to 1",
        ),
        ("[database]\npool_size = true", "database.pool_size = true (from file): must be a number"),
        ("[database]\npool_size = 'many'", "must be a whole number; for example"),
        (
            "[database]\nurl = 'mysql://x'",
            "setting database.url (from file): must be a URL that starts with post",
        ),
        ("[lamassu]\ndsn = 'nonsense'", "setting lamassu.dsn (from file): must be a PostgreSQL connection"),
        *[
            (
                f"[database]\nurl = 'postgresql://dca:{password}@127.0.0.1/dca'",
                "setting database.url (from file): special characters of the password must be written as %40",
            )
            for password in ("p/w@rd", "p@rd", "p/w", "a:b/c@d")
        ],
        ("[lamassu]\ndsn = 'postgresql://u:100%@h/d'", "% itself is written %25"),
        ("[lamassu]\ndsn = ''", "setting lamassu.dsn (from file): must be a PostgreSQL connection"),
        (
            "[pool]\nnew_machines = 'ask'",
            "pool.new_machines = \"ask\" (from file): must be 'default' or 'wait'",
        ),
        ("[lamassu]\nsplit_method = 'guess'", "must be 'recorded' or 'ticker'; for example split_method ="),
        ("[lamassu]\nchannel = 'reload'", "must not be reload: Lamassu itself listens there"),
        ("[lamassu]\nchannel = 'a; DROP'", "must be lower case letters, digits and _"),
        ("[lamassu]\npoll_interval_seconds = nan", "must be less than or equal to 300"),
        ("[lnbits]\nurl = 'lnbits.example.com'", "must be an http:// or https:// address"),
        ("[lnbits]\nurl = 'http://a:b:c'", "must be an http:// or https:// address"),
        ("[lnbits]\nadmin_key = 'with blank in it'", "must be the key alone"),
        ("[payouts]\ninvoice_expiry_seconds = 3600", "must be greater than or equal to 86400"),
        ("[payouts]\nmax_payout_sats = 1.5", "must be a whole number"),
        ("[security]\nencryption_keys = 'abc'", "line 1 is not a Fernet key"),
        ("[security]\nencryption_keys = ' '", "must be one or more Fernet keys"),
        ("[http]\nhost = '0.0.0.0'", "http.allow_remote = true"),
        ("[http]\nport = 70000", "must be less than or equal to 65535"),
        (
            "[log]\nlevel = 'loud'",
            "must be 'debug', 'info', 'warning' or 'error'; for example level = \"info\"",
        ),
        ("[pool\n", "is not valid TOML"),
        ("[database]\npool_size = " + "9" * 5_000, "is not valid TOML: a number is too long"),
        ("[database]\npool_size = " + "[" * 5_000 + "]" * 5_000, "brackets are too deep"),
        ("[database]\npool_size = 0x" + "f" * 5_000, "database.pool_size = a int that is too long"),
        ("[pool]\ncurrency." + "a." * 2_000 + "a = 1", "pool.currency = a dict that is too long"),
        ('[pool]\ncurrency = "G\u2028T\\u0000Q"', "pool.currency = "),
        ('[pool]\n"a\\nb" = 1', "unknown setting pool.a b"),
        ('[database]\npool_size = "' + "x" * 5_000 + '"', "database.pool_size = "),
    ],
)
def test_what_is_wrong_is_named_on_one_line(load: Load, text: str, expected: str) -> None:
    message = refusal(load, text)
    assert expected in message
    assert len(message.splitlines()) == 1 and len(message) < 500


def test_all_mistakes_are_listed(load: Load) -> None:
    message = refusal(load, "[pool]\ncurency = 'GTQ'\n[http]\nport = -1\nhost = 'example.com'")
    assert len(message.splitlines()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "[lnbits]\nadmin_key = 'geheim geheim'",
        "[lnbits]\nadmin_key = ['geheim']",
        "[lnbits]\nurl = 'ftp://user:geheim@x'",
        "[database]\nurl = 'x://u:geheim@h'",
        '[lamassu]\ndsn = "host=a password=\'geheim"',
        "[security]\nencryption_keys = 'geheim'",
        "[lnbits]\nadmin_key = 'geheim'\nadmin_key_file = '/x'",
    ],
)
def test_no_refusal_shows_a_secret(load: Load, text: str) -> None:
    assert "geheim" not in refusal(load, text)


def test_no_display_shows_a_secret(load: Load) -> None:
    settings = load(COMPLETE)
    shown = {key: (value, source) for key, value, source in settings.shown()}
    assert shown["lnbits.admin_key"] == ("********", Source.FILE)
    assert shown["pool.currency"] == ('"GTQ"', Source.FILE)
    everything = repr(shown) + repr(settings.lnbits) + str(settings.database) + repr(settings.security)
    for secret in settings.secrets():
        assert secret not in everything
    assert {"0123456789abcdef", "pw-of-books", "pw of lamassu", FERNET_KEY} <= set(settings.secrets())


def test_passwords_within_connections_are_secrets_of_their_own() -> None:
    assert "p@w" in set(secret_parts("dsn", "postgresql://u:p%40w@h/d"))
    assert "x y" in set(secret_parts("listen_dsn", "host=a password = 'x y' user=u"))


def test_the_environment_wins(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCA_POOL__CURRENCY", "EUR")
    monkeypatch.setenv("DCA_POOL__NAME", "12")
    monkeypatch.setenv("DCA_POOL__NEW_MACHINES", "wait")
    monkeypatch.setenv("DCA_RECONCILE__TIMES", "04:10, 16:10")
    monkeypatch.setenv("DCA_PAYOUTS__ENABLED", "false")
    monkeypatch.setenv("DCA_INTAKE__BATCH_SIZE", "7")
    settings = load(COMPLETE)
    assert settings.pool.currency == "EUR" and settings.pool.name == "12"
    assert settings.pool.new_machines_wait and settings.reconcile.times == ("04:10", "16:10")
    assert not settings.payouts.enabled and settings.intake.batch_size == 7
    assert settings.source_of("pool.currency") is Source.ENV


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("DCA_LNBITS__ADMIN_KAY", "did you mean DCA_LNBITS__ADMIN_KEY?"),
        ("DCA_LNBITS_ADMIN_KEY", "did you mean DCA_LNBITS__ADMIN_KEY?"),
        ("DCA_XXXX__YYYY", "unknown setting DCA_XXXX__YYYY"),
    ],
)
def test_a_misspelt_variable_is_refused(
    load: Load, monkeypatch: pytest.MonkeyPatch, variable: str, expected: str
) -> None:
    monkeypatch.setenv(variable, "geheim")
    message = refusal(load, COMPLETE)
    assert expected in message and "geheim" not in message


def test_a_wrong_value_from_the_environment_names_the_variable(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCA_HTTP__PORT", "abc")
    assert 'setting http.port = "abc" (from DCA_HTTP__PORT)' in refusal(load, "")


def test_the_file_is_looked_for_in_order(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def written(name: str) -> Path:
        path = clean_environment / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"[pool]\nname = '{name}'\n[pool.currency]".replace("\n[pool.currency]", "\ncurrency='GTQ'")
        )
        return path

    written("config.toml")
    assert load_settings().pool.name == "config.toml"
    written("etc/config.toml")
    assert load_settings().pool.name == "etc/config.toml"
    monkeypatch.setenv("DCA_CONFIG", str(written("named.toml")))
    assert load_settings().pool.name == "named.toml"
    assert load_settings(written("given.toml")).pool.name == "given.toml"


def test_a_file_that_is_not_there(clean_environment: Path) -> None:
    with pytest.raises(ConfigError, match=r"can't read the configuration file nowhere\.toml: No such file"):
        load_settings(Path("nowhere.toml"))


def secret_file(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_secret_from_a_file(load: Load, clean_environment: Path) -> None:
    path = secret_file(clean_environment / "key", "  0123456789abcdef\n")
    settings = load(f"[lnbits]\nurl = 'http://localhost'\nadmin_key_file = '{path}'")
    assert settings.lnbits.admin_key.get_secret_value() == "0123456789abcdef"
    assert settings.source_of("lnbits.admin_key") is Source.SECRET_FILE


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        ("0123456789", 0o604, "can be read by others: chmod 600"),
        ("", 0o600, "is empty"),
        (None, 0, "can't read"),
    ],
)
def test_an_unusable_secret_file_matters_to_who_needs_it(
    load: Load, clean_environment: Path, text: str | None, mode: int, expected: str
) -> None:
    path = clean_environment / "key"
    if text is not None:
        secret_file(path, text, mode)
    settings = load(f"[lnbits]\nurl = 'http://localhost'\nadmin_key_file = '{path}'")
    assert settings.payouts.enabled
    with pytest.raises(ConfigError, match=expected) as caught:
        settings.require("lnbits")
    assert str(caught.value).startswith("setting lnbits.admin_key: ")


def test_a_group_may_read_a_secret_of_root_only(load: Load, clean_environment: Path) -> None:
    path = secret_file(clean_environment / "key", "0123456789", 0o640)
    settings = load(f"[lnbits]\nurl = 'http://localhost'\nadmin_key_file = '{path}'")
    if path.stat().st_uid == 0:
        os.chown(path, 65534, -1)
        settings = load(f"[lnbits]\nurl = 'http://localhost'\nadmin_key_file = '{path}'")
    with pytest.raises(ConfigError, match="can be read by others"):
        settings.require("lnbits")


def test_an_unusable_optional_secret_file_is_refused_too(load: Load) -> None:
    settings = load("[lamassu]\ndsn = 'dbname=x'\nlisten_dsn_file = '/nonexistent'")
    with pytest.raises(ConfigError, match=r"setting lamassu\.listen_dsn: can't read /nonexistent"):
        _ = settings.lamassu


def test_a_credential_and_what_wins_over_it(
    load: Load, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = clean_environment / "credentials"
    folder.mkdir()
    (folder / "lnbits.admin_key").write_text("from-credential\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    settings = load("[lnbits]\nurl = 'http://localhost'")
    assert settings.lnbits.admin_key.get_secret_value() == "from-credential"
    assert settings.source_of("lnbits.admin_key") is Source.CREDENTIAL
    settings = load("[lnbits]\nurl = 'http://localhost'\nadmin_key = 'from-toml'")
    assert settings.lnbits.admin_key.get_secret_value() == "from-toml"
    path = secret_file(clean_environment / "key", "from-env-file")
    monkeypatch.setenv("DCA_LNBITS__ADMIN_KEY_FILE", str(path))
    settings = load("[lnbits]\nurl = 'http://localhost'\nadmin_key = 'from-toml'")
    assert settings.lnbits.admin_key.get_secret_value() == "from-env-file"


def test_the_same_secret_twice_in_one_place(load: Load) -> None:
    text = "[lnbits]\nadmin_key = '0123456789'\nadmin_key_file = '/x'"
    assert refusal(load, text) == "lnbits: set admin_key or admin_key_file, not both"


def test_remote_hosts_when_allowed(load: Load) -> None:
    settings = load("[http]\nhost = '0.0.0.0'\nallow_remote = true\nallowed_hosts = ['dca.example.com']")
    assert settings.http.host == "0.0.0.0" and settings.http.allowed_hosts == ("dca.example.com",)
    assert load("[http]\nhost = '::1'").http.host == "::1"


def test_settings_can_not_be_changed(load: Load) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(COMPLETE).pool.currency = "EUR"


@pytest.mark.parametrize("path", ["a\\u0000b", "x" * 5_000, "/dev/null/x"])
def test_a_secret_file_that_can_be_none_is_named_with_its_key(load: Load, path: str) -> None:
    settings = load(f'[lnbits]\nurl = "https://x.test"\nadmin_key_file = "{path}"')
    with pytest.raises(ConfigError, match=r"^setting lnbits\.admin_key: .{1,500}$"):
        settings.require("lnbits")


def test_credentials_that_can_not_be_looked_for_are_none(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "x" * 5_000)
    assert load(COMPLETE).lnbits.url == "https://lnbits.example.com"


def test_a_configuration_that_may_not_be_looked_at_is_an_error_that_says_so(
    clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an operator finds it without sudo, where /etc/dca-daemon is closed. (Root may look everywhere.)"""

    def stat(_: Path, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    def read_text(_: Path, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "read_text", read_text)
    with pytest.raises(ConfigError, match=r"etc/config\.toml: Permission denied") as raised:
        load_settings()
    assert raised.value.remedy and "--config" in raised.value.remedy


@pytest.mark.parametrize("sign", ["\uff0f", "\uff20", "\uff1a"])
def test_a_password_of_signs_that_look_like_others_is_still_masked(sign: str) -> None:
    """Python's own reader of addresses refuses them; PostgreSQL's does not."""
    assert f"pass{sign}word" in secret_parts("dsn", f"postgresql://dca:pass{sign}word@127.0.0.1/lamassu")


PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\\nAAAA\\n-----END OPENSSH PRIVATE KEY-----"
TUNNEL = f"""
[tunnel]
host = "lamassu.example.com"
user = "dca-tunnel"
host_key = "SHA256:{"A" * 43}"
key = "{PRIVATE_KEY}"
"""


def test_a_tunnel_needs_all_that_proves_who_is_who(load: Load) -> None:
    assert load(COMPLETE).tunnel.host is None
    chosen = load(COMPLETE + TUNNEL).tunnel
    assert (chosen.port, chosen.host_keys[0].fingerprint) == (22, f"SHA256:{'A' * 43}")
    assert load(COMPLETE + TUNNEL.replace('key = "---', 'agent = "/run/agent" # ')).tunnel.key is None
    for name in ("user", "host_key", "key"):
        lines = [line for line in TUNNEL.splitlines() if not line.startswith(f"{name} =")]
        settings = load(COMPLETE + "\n".join(lines))
        settings.require("database", "lamassu")
        with pytest.raises(ConfigError, match=f"setting tunnel.{name} is missing"):
            settings.require("tunnel")
    for name, value, why in (
        ("user", "root@host", "name of an account"),
        ("host_key", "lamassu.example.com", "is no host key"),
        ("host_key", "", "is empty"),
        ("key", "ssh-ed25519 AAAA", "must be the private key"),
        ("keepalive_seconds", "0", "greater than or equal to 1"),
    ):
        lines = [line for line in TUNNEL.splitlines() if not line.startswith(f"{name} =")]
        text = refusal(load, "\n".join([COMPLETE, *lines, f'{name} = "{value}"']))
        assert f"setting tunnel.{name}" in text and why in text
        assert "AAAA" not in text.replace("SHA256:" + "A" * 43, "").replace("ssh-ed25519 AAAA…", "")
