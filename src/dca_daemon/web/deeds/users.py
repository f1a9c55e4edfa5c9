"""What can be done with people who use the console."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import second_factor, users
from dca_daemon.services.users import UserView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.users import UserOut
from dca_daemon.web.wishes import Reason, Text, Widget, Wish, like

UserName = Annotated[Text, Field(title="Name", description="The user's name.", examples=["ana"])]
NewName = Annotated[
    Text, Field(title="Name", description="At most 40 of a-z, 0-9, '.', '_' and '-'.", examples=["ana"])
]
ItsRole = Annotated[
    Role,
    Field(
        title="Role",
        description="viewer sees everything; operator does the daily work too; admin may do everything.",
    ),
]
Password = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000),
    Field(title="Password", description="12 to 128 characters.", examples=["four words by chance"]),
    Widget("password", secret=True),
]


class AddUser(Wish):
    """Somebody who may use the console. Without a password only a login link lets them in."""

    model_config = like({"name": "ana", "role": "operator", "password": "four words by chance"})

    name: NewName
    role: ItsRole
    password: Password | None = None


class SetRole(Wish):
    """Another role."""

    name: UserName
    role: ItsRole


class SetPassword(Wish):
    """Another password."""

    name: UserName
    password: Password


class OneUser(Wish):
    """Whom it concerns."""

    name: UserName


class NoSecondFactor(OneUser):
    """Who has lost the app that makes the codes."""

    reason: Reason


async def _add(call: Call, wish: AddUser) -> UserView:
    return await users.add(call.db, name=wish.name, role=wish.role, password=wish.password, actor=call.actor)


async def _set_role(call: Call, wish: SetRole) -> UserView:
    return await users.set_role(call.db, wish.name, wish.role, actor=call.actor)


async def _set_password(call: Call, wish: SetPassword) -> UserView:
    return await users.set_password(call.db, wish.name, wish.password, actor=call.actor)


async def _no_second_factor(call: Call, wish: NoSecondFactor) -> UserView:
    return await second_factor.turn_off(call.db, wish.name, reason=wish.reason, actor=call.actor)


async def _disable(call: Call, wish: OneUser) -> UserView:
    return await users.disable(call.db, wish.name, actor=call.actor)


async def _enable(call: Call, wish: OneUser) -> UserView:
    return await users.enable(call.db, wish.name, actor=call.actor)


def _facts(user: UserView) -> Facts:
    return [
        ("User", user.name),
        ("Role", user.role.value),
        ("Password", "yes" if user.has_password else "none: only a login link lets them in"),
        ("Second factor", "yes" if user.has_second_factor else "no"),
        ("State", "disabled" if user.disabled_at else "enabled"),
    ]


def _to_the_list(user: UserView) -> str:
    del user
    return "/users"


ACTIONS = (
    Action(
        name="user.add",
        title="Add a user",
        path="/users/add",
        api_path="/users",
        api_status=201,
        wish=AddUser,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="Somebody who may use the console. Without a password only a login link lets them in: "
        "dca-daemon user login-link NAME.",
        work=_add,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda user: f"{user.name} may use the console as {user.role.value}.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
    Action(
        name="user.set-role",
        title="Give another role",
        path="/users/{name}/role",
        wish=SetRole,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="The user's sessions end. The last admin who is enabled stays one.",
        work=_set_role,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda user: f"{user.name} is {user.role.value} from now on; open sessions were ended.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
    Action(
        name="user.set-password",
        title="Set another password",
        path="/users/{name}/password",
        wish=SetPassword,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="The user's sessions end.",
        work=_set_password,
        facts=_facts,
        leads_to=_to_the_list,
        one_step=True,
        said=lambda user: f"{user.name} has another password; open sessions were ended.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
    Action(
        name="user.second-factor-off",
        title="Take the second factor off",
        path="/users/{name}/second-factor",
        wish=NoSecondFactor,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="For who has lost the app that makes the codes: from now on the password alone lets them in. "
        "The user's sessions end.",
        work=_no_second_factor,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda user: f"{user.name} needs no code any more to log in; open sessions were ended.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
    Action(
        name="user.disable",
        title="Disable a user",
        path="/users/{name}/disable",
        wish=OneUser,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="The user is let in no longer, and open sessions end at once. It can be undone.",
        work=_disable,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda user: f"{user.name} is disabled; open sessions were ended.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
    Action(
        name="user.enable",
        title="Enable a user",
        path="/users/{name}/enable",
        wish=OneUser,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="The user is let in again, with the same password.",
        work=_enable,
        facts=_facts,
        leads_to=_to_the_list,
        said=lambda user: f"{user.name} may use the console again.",
        answer=UserOut.of,
        answer_model=UserOut,
    ),
)
