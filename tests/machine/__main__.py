"""`python -m tests.machine`: from an empty Debian to a service under systemd that pays, with each step's time.

Then a backup is made and restored, Lamassu's database is reached through an SSH tunnel, and the service is killed,
hangs, is upgraded, goes back, and is removed. Lamassu's database is in the machine's own PostgreSQL; LNbits is a
real one outside of it.
"""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import httpx

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lamassu_schema import DDL
from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.demo.lnbits_server import SUPER_USER, LnbitsServer
from tests.fixtures.lnbits import INSTALL_DIR
from tests.machine.machine import Failed, Machine, base, booted, missing

ROOT = Path(__file__).resolve().parents[2]
CLONE = "/srv/dca-daemon"
INSTALL = f"{CLONE}/deploy/install.sh"
PORTS = (2222, 5432, 8017, 8018)
SERVICES = ("dca-daemon", "dca-console")
PATIENCE_SECONDS = 60.0
MINUTES_MAX = 15
READER_PASSWORD = "r@ader/pass"
SSH_PORT = 2222
TUNNEL = """[Service]
LoadCredential=tunnel.key:/etc/dca-daemon/tunnel.key
Environment=DCA_TUNNEL__KEY_FILE=%d/tunnel.key
SocketBindAllow=ipv4:tcp
"""


@dataclass
class Walk:
    """One walk through the README on one machine."""

    machine: Machine
    lnbits: LnbitsAdmin
    source: WalletKeys
    ana: WalletKeys
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun
        print(f"{self.seconds[name]:7.1f} s  {name}", flush=True)

    def install(self) -> None:
        with self.step("packages of Debian"):
            self.machine.run("apt-get", "update", "-q")
            wanted = ("python3-venv", "postgresql")
            self.machine.run("apt-get", "install", "-qy", "--no-install-recommends", *wanted)
        with self.step("a database like Lamassu's (not counted)"):
            self.machine.run("sudo", "-u", "postgres", "createdb", "lamassu")
            self.machine.sql("lamassu", DDL)
        with self.step("install.sh"):
            self.machine.run(INSTALL)

    def set_up(self) -> None:
        with self.step("Lamassu's role and trigger"):
            for command in ("grants", "install-trigger"):
                self.machine.sql("lamassu", self.machine.run("dca-daemon", "lamassu", command, "--print"))
            self.machine.sql("lamassu", f"ALTER ROLE dca_reader PASSWORD '{READER_PASSWORD}'")
        with self.step("init"):
            said = self.machine.run(
                *("dca-daemon", "init", "--yes", "--create-database", "--upgrade", "--currency", "GTQ"),
                DCA_LAMASSU__DSN=f"host=127.0.0.1 dbname=lamassu user=dca_reader password={READER_PASSWORD}",
                DCA_LNBITS__URL=self.lnbits.url,
                DCA_LNBITS__ADMIN_KEY=self.source.adminkey,
            )
            _must("systemctl enable --now dca-daemon" in said, said)
        with self.step("a client, a deposit, a user, doctor"):
            (self.machine.root / "root/ana.key").write_text(self.ana.inkey)
            self.machine.run("dca-daemon", "client", "add", "Ana", "--lnbits-key-file", "/root/ana.key")
            self.machine.run("dca-daemon", "deposit", "record", "Ana", "20000", "--confirm")
            self.machine.run("dca-daemon", "user", "add", "eva", "--role", "admin", "--no-password")
            self.machine.run("dca-daemon", "doctor")

    def start(self) -> None:
        with self.step("systemctl enable --now"):
            self.machine.run("systemctl", "enable", "--now", *SERVICES)
            for unit in SERVICES:
                self.active(unit)
            _until("/readyz answers 200", lambda: _get("http://127.0.0.1:8017/readyz"))
            _until("the console answers", lambda: _get("http://127.0.0.1:8018/login"))
            _must(self.machine.state("dca-daemon", "NotifyAccess") == "main", "the unit is another one")

    def pay(self, name: str) -> None:
        before = self.lnbits.balance_msat(self.ana.inkey)
        with self.step(name):
            self.sell()
            _until("Ana has her sats", lambda: self.lnbits.balance_msat(self.ana.inkey) > before)

    def sell(self) -> None:
        password = secrets.token_hex(8)
        self.machine.sql(
            "lamassu",
            f"DROP ROLE IF EXISTS atm; CREATE ROLE atm SUPERUSER LOGIN PASSWORD '{password}'",
        )
        atm = SimulatedAtm(f"postgresql://atm:{password}@127.0.0.1:5432/lamassu")
        atm_scenarios.run(atm, "lightning", Decimal(500))
        atm.close()

    def back_up(self) -> None:
        """As docs/backup.md says, with the drill."""
        secret = self.machine.run("dca-daemon", "backup", "new-key")
        public = next(word for word in secret.split() if word.startswith("age1"))
        self.configure("backup", f'folder = "/var/lib/dca-backup"\nrecipients = ["{public}"]')
        self.machine.sql("postgres", "ALTER ROLE dca CREATEDB")
        with self.step("a backup by its service"):
            self.machine.run("systemctl", "start", "dca-backup")
            listed = json.loads(self.machine.run("dca-daemon", "backup", "list", "--json"))["backups"]
            _must(len(listed) == 1 and listed[0]["trouble"] is None, str(listed))
            self.machine.run("systemctl", "enable", "--now", "dca-backup.timer")
        with self.step("the drill of a restore"):
            self.machine.run("dca-daemon", "backup", "drill")
        self.machine.run("dca-daemon", "doctor")

    def tunnel(self) -> None:
        """As docs/tunnel.md says; the server is this machine itself."""
        machine = self.machine
        ours = machine.root / "etc/ssh/sshd_config.d"
        ours.mkdir(parents=True)
        (ours / "port.conf").write_text(f"Port {SSH_PORT}\n")  # the network is shared with this computer
        machine.run("apt-get", "install", "-qy", "--no-install-recommends", "openssh-server")
        machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/dca-daemon/tunnel.key")
        home = "/var/lib/dca-tunnel"
        machine.run("adduser", "--system", "--home", home, "--shell", "/usr/sbin/nologin", "dca-tunnel")
        machine.run("install", "-d", "-m", "700", "-o", "dca-tunnel", f"{home}/.ssh")
        public = machine.run("cat", "/etc/dca-daemon/tunnel.key.pub")
        line = f'restrict,port-forwarding,permitopen="127.0.0.1:5432" {public}'
        (machine.root / f"{home}/.ssh/authorized_keys".lstrip("/")).write_text(line)
        host_key = " ".join(machine.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
        self.configure(
            "tunnel",
            f'host = "127.0.0.1"\nport = {SSH_PORT}\nuser = "dca-tunnel"\nhost_key = "{host_key}"\n'
            'key_file = "/etc/dca-daemon/tunnel.key"',
        )
        machine.run("dca-daemon", "lamassu", "check")
        with self.step("restarted with the SSH tunnel"):
            for unit in SERVICES:
                self.drop_in(unit, "tunnel", TUNNEL)
            machine.run("systemctl", "restart", *SERVICES)
            _until("the tunnel is up", lambda: "tunnel.up" in machine.run("journalctl", "-u", "dca-daemon"))
            _until("/readyz answers 200", lambda: _get("http://127.0.0.1:8017/readyz"))
        self.pay("a cash-out that is read through it is paid")

    def configure(self, section: str, lines: str) -> None:
        """Into a section of what `init` wrote."""
        config = self.machine.root / "etc/dca-daemon/config.toml"
        before, heading, after = config.read_text().partition(f"\n[{section}]\n")
        _must(bool(heading), f"config.toml has no [{section}]")
        config.write_text(f"{before}{heading}{lines}\n{after}")

    def drop_in(self, unit: str, name: str, text: str) -> None:
        """As `systemctl edit` makes it."""
        folder = self.machine.root / f"etc/systemd/system/{unit}.service.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.conf").write_text(text)
        self.machine.run("systemctl", "daemon-reload")

    def break_it(self) -> None:
        with self.step("killed: systemd starts it again"):
            self.machine.run("systemctl", "kill", "--signal=KILL", "dca-daemon")
            _until("a restart is counted", lambda: self.machine.state("dca-daemon", "NRestarts") == "1")
            self.active("dca-daemon")
        self.pay("a cash-out after that is paid")
        with self.step("it hangs: the watchdog ends it (WatchdogSec=5 for this)"):
            self.drop_in("dca-daemon", "quick", "[Service]\nWatchdogSec=5\nTimeoutAbortSec=2\n")
            self.machine.run("systemctl", "restart", "dca-daemon")
            self.machine.run("systemctl", "kill", "--signal=STOP", "dca-daemon")
            _until("a restart is counted", lambda: self.machine.state("dca-daemon", "NRestarts") == "1")
            self.active("dca-daemon")

    def upgrade(self) -> None:
        first = self.release()
        with self.step("upgrade by install.sh"):
            self.machine.run(INSTALL)
            self.active("dca-daemon")
        second = self.release()
        _must(first != second, "the upgrade changed nothing")
        self.pay("a cash-out after that is paid by the new release")
        with self.step("and back"):
            self.machine.run(INSTALL, "--back")
            self.active("dca-daemon")
        _must(self.release() == first, "it did not go back")

    def release(self) -> str:
        return self.machine.run("readlink", "/opt/dca-daemon/current").strip()

    def remove(self) -> None:
        with self.step("stopped"):
            self.machine.run("systemctl", "stop", *SERVICES)
            for unit in SERVICES:
                _must(self.machine.state(unit, "Result") == "success", f"{unit} did not end well")
        with self.step("removed"):
            self.machine.run(INSTALL, "--uninstall")
            for gone in ("/opt/dca-daemon", "/usr/local/bin/dca-daemon", "/etc/systemd/system/dca-daemon.service"):
                _must(not self.machine.has(gone), f"{gone} is still there")
            _must(self.machine.has("/etc/dca-daemon/security.encryption_keys"), "the keys are gone")
            _must(self.machine.sql("dca", "SELECT count(*) FROM client").strip() == "1", "the books are gone")

    def active(self, unit: str) -> None:
        _until(f"{unit} is active", lambda: self.machine.state(unit, "ActiveState") == "active")


def _must(good: bool, text: str) -> None:
    if not good:
        raise Failed(text)


def _until(what: str, check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not check():
        if time.monotonic() > deadline:
            raise Failed(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.1)


def _get(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _copy_clone(root: Path) -> None:
    """What git has of this clone, with what was changed since."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = root / CLONE.lstrip("/") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def walk(machine: Machine, server: LnbitsServer) -> Walk:
    """All of it. Raises `Failed`."""
    admin = LnbitsAdmin(server.url, username=SUPER_USER, password=server.super_user_password)
    source, ana = admin.create_wallet("DCA payouts"), admin.create_wallet("Ana")
    admin.top_up(source.id, 9_000_000)
    made = Walk(machine, admin, source, ana)
    made.install()
    made.set_up()
    made.start()
    made.pay("a cash-out is booked and paid")
    minutes = sum(seconds for name, seconds in made.seconds.items() if "not counted" not in name) / 60
    print(f"{minutes:7.1f} min from an empty machine to a service that pays")
    _must(minutes < MINUTES_MAX, f"more than {MINUTES_MAX} minutes")
    made.back_up()
    made.tunnel()
    made.break_it()
    made.upgrade()
    made.remove()
    return made


def main() -> int:
    """Exit status 1 when a step fails, or where it can't be done."""
    if reason := missing():
        print(f"no machine can be made here: {reason}", file=sys.stderr)
        return 1
    if taken := [port for port in PORTS if _is_taken(port)]:
        print(f"the machine shares this computer's network, and port {taken[0]} is taken", file=sys.stderr)
        return 1
    empty = base(ROOT / ".cache/debian")
    with tempfile.TemporaryDirectory(prefix="dca-machine-") as folder:
        root = Path(folder) / "root"
        subprocess.run(["cp", "-a", empty, root], check=True)
        _copy_clone(root)
        try:
            with LnbitsServer(INSTALL_DIR, Path(folder) / "lnbits") as server, booted(root) as machine:
                try:
                    walk(machine, server)
                except Failed:
                    told = machine.run("journalctl", "--no-pager", "--lines=60", "--unit=dca-*", may_fail=True)
                    print(told, file=sys.stderr)
                    raise
        except Failed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
