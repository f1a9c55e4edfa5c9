"""`dca-daemon user`: people who may use the console."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, load, usage_error, with_books
from dca_daemon.cli.output import AsJson, iso, note, print_json, print_table, say, when
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.rights import Role

if TYPE_CHECKING:
    from dca_daemon.services.users import UserView

app = typer.Typer(name="user", no_args_is_help=True, help="Users: people who may use the console.")

Who = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
AsRole = Annotated[
    Role,
    typer.Option("--role", metavar="ROLE", help="viewer (sees all), operator (the daily work) or admin (all)."),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin instead of asking for it.")
]
_STDIN_MAX_CHARS = 1000


def as_dict(u: UserView) -> dict[str, Any]:
    """A user for scripts."""
    return {
        "id": u.user_id,
        "name": u.name,
        "role": u.role.value,
        "has_password": u.has_password,
        "has_second_factor": u.has_second_factor,
        "created_at": iso(u.created_at),
        "disabled_at": iso(u.disabled_at),
        "last_seen_at": iso(u.last_seen_at),
        "sessions": u.sessions,
    }


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="At most 40 of a-z, 0-9, '.', '_' and '-'.")],
    role: AsRole,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Only a login link lets this person in (user login-link).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add somebody who may use the console. The password has 12 to 128 characters."""
    from dca_daemon.services import users

    settings = load()
    if no_password and password_stdin:
        raise usage_error("a password or none: give --password-stdin or --no-password")
    name = users.clean_user_name(name)
    password = None if no_password else _password(password_stdin)
    view = with_books(settings, lambda db: users.add(db, name=name, role=role, password=password, actor=actor()))
    if as_json:
        print_json({"user": as_dict(view)})
        return
    say(f"{view.name} may use the console as {view.role.value}.")
    if no_password:
        note(f"Next: dca-daemon user login-link {view.name}")


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List everybody who may use the console, or might."""
    from dca_daemon.services import users

    found = with_books(load(), users.list_all)
    if as_json:
        print_json({"users": [as_dict(u) for u in found]})
        return
    print_table(
        ("name", "role", "password", "second factor", ">sessions", "last seen", "added", "disabled"),
        (
            (
                u.name,
                u.role.value,
                "yes" if u.has_password else "no",
                "yes" if u.has_second_factor else "no",
                u.sessions,
                when(u.last_seen_at),
                when(u.created_at),
                when(u.disabled_at),
            )
            for u in found
        ),
        empty="There is no user. Next: dca-daemon user add NAME --role admin",
    )


@app.command("set-role")
def set_role(name: Who, role: AsRole, as_json: AsJson = False) -> None:
    """Give somebody another role. Their sessions end."""
    from dca_daemon.services import users

    view = with_books(load(), lambda db: users.set_role(db, name, role, actor=actor()))
    _tell(view, f"{view.name} is {view.role.value} from now on; open sessions were ended.", as_json)


@app.command("set-password")
def set_password(name: Who, password_stdin: PasswordStdin = False, as_json: AsJson = False) -> None:
    """Give somebody another password. Their sessions end."""
    from dca_daemon.services import users

    settings = load()
    with_books(settings, lambda db: users.show(db, name))  # before anybody types one
    password = _password(password_stdin)
    view = with_books(settings, lambda db: users.set_password(db, name, password, actor=actor()))
    _tell(view, f"{view.name} has another password; open sessions were ended.", as_json)


@app.command()
def disable(name: Who, as_json: AsJson = False) -> None:
    """Let somebody in no longer. Their sessions end at once."""
    from dca_daemon.services import users

    view = with_books(load(), lambda db: users.disable(db, name, actor=actor()))
    _tell(view, f"{view.name} is disabled; open sessions were ended.", as_json)


@app.command()
def enable(name: Who, as_json: AsJson = False) -> None:
    """Let somebody in again, with the same password."""
    from dca_daemon.services import users

    view = with_books(load(), lambda db: users.enable(db, name, actor=actor()))
    _tell(view, f"{view.name} may use the console again as {view.role.value}.", as_json)


@app.command("no-second-factor")
def no_second_factor(name: Who, as_json: AsJson = False) -> None:
    """Let somebody log in without a code who has lost the app that makes them."""
    from dca_daemon.services import second_factor

    view = with_books(load(), lambda db: second_factor.turn_off(db, name, actor=actor()))
    _tell(view, f"{view.name} needs no code any more to log in.", as_json)


@app.command("login-link")
def login_link(
    name: Who,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="N", min=1, max=1440, help="How long the link lets in.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Make a link that lets somebody in once, without a password: whoever has it is that person."""
    from dca_daemon.services import sessions

    settings = load()
    user, token = with_books(settings, lambda db: sessions.make_link(db, name, actor=actor(), minutes=minutes))
    url = f"{settings.console.address}/login/link/{token}"
    if as_json:
        print_json({"user": user.name, "url": url, "minutes": minutes})
        return
    say(url)
    note(f"It lets {user.name} in once, within {minutes} minutes.")


def _tell(view: UserView, text: str, as_json: bool) -> None:
    if as_json:
        print_json({"user": as_dict(view)})
    else:
        say(text)


def _password(from_stdin: bool) -> str:
    """Never from the command line, where others could read it. Raises `InputError`."""
    if from_stdin:
        try:
            text = sys.stdin.readline(_STDIN_MAX_CHARS)
        except UnicodeDecodeError:
            raise InputError("the password on stdin is not valid UTF-8") from None
        return text.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InputError("there is nobody to ask for the password", remedy="add --password-stdin")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
