"""`dca-daemon init`, step by step: each answer is checked, tried and kept before the next one is asked for.

An interrupted run so goes on where it stopped, and a second one finds everything done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dca_daemon.domain.errors import DatabaseError, DcaError, InputError
from dca_daemon.ledger import migrate, new_database
from dca_daemon.ledger.new_database import Names
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime import wiring
from dca_daemon.runtime.setting_up import trials
from dca_daemon.runtime.setting_up.folder import Folder
from dca_daemon.runtime.setting_up.questions import (
    BY_KEY,
    DATABASE,
    KEYS,
    QUESTIONS,
    SECRETS,
    Question,
    checked,
    variable,
    without_password,
)
from dca_daemon.runtime.settings import Settings
from dca_daemon.services.doctor import Finding
from dca_daemon.services.pools import ensure_default_pool

KEYS_OPTION = "--encryption-keys-file"
KEEP, LATER = "keep", "later"


class Person(Protocol):
    """Who answers. `answers` is False where nobody is there: then whatever would be asked is refused."""

    answers: bool

    def ask(self, question: Question) -> str:
        """An answer, as it was given."""

    def ask_again(self, question: Question, *, can_keep: bool) -> str:
        """Another answer; empty to try the same again, `keep` to take it as it is, `later` for none."""

    def confirm(self, text: str, *, default: bool) -> bool:
        """Yes or no."""

    def tell(self, text: str) -> None:
        """A line of what is going on."""

    def show(self, findings: Sequence[Finding]) -> None:
        """What was found out about an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """How it should go. `create` and `upgrade`: None leaves it to the person."""

    replace: bool = False
    untested: bool = False
    create: bool | None = None
    names: Names = field(default_factory=Names)
    admin_dsn: str | None = field(default=None, repr=False)
    upgrade: bool | None = None


@dataclass(slots=True)
class Outcome:
    """What it came to."""

    findings: list[Finding] = field(default_factory=list)
    made_keys: bool = False
    schema_fits: bool = False
    later: list[str] = field(default_factory=list)


class Setup:
    """One run of `init`."""

    def __init__(self, folder: Folder, person: Person, given: Mapping[str, str], wishes: Wishes) -> None:
        self._folder = folder
        self._person = person
        self._given = given
        self._wishes = wishes
        self._answers: dict[str, str] = {}
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """All of it. Raises `InputError` where nobody can be asked, and other `DcaError`s."""
        self._look_at_what_is_given()
        self._folder.prepare()
        for question in QUESTIONS:
            self._settle(question)
        self._settle_keys()
        self._settle_config()
        self._upgrade()
        return self.outcome

    def settings(self) -> Settings:
        """The settings with every answer so far."""
        return trials.settings_with(self._folder.document, self._answers)

    def _look_at_what_is_given(self) -> None:
        """Before anything is written. Raises `InputError`."""
        for key, text in self._given.items():
            try:
                checked(key, text)
            except InputError as error:
                raise InputError(f"{key}: {error.message}", field=key) from None
        if self._person.answers:
            return
        for key in BY_KEY:
            there, given = self._folder.value(key), self._given.get(key)
            if given and there and checked(key, given) != there and not self._wishes.replace:
                raise InputError(
                    f"{key} is there already, and is not what was given now: nothing was changed",
                    remedy="add --replace",
                    field=key,
                )
        missing = [q for q in QUESTIONS if not (self._given.get(q.key) or self._folder.value(q.key))]
        if missing := [q for q in missing if q.key != DATABASE or not self._wishes.create]:
            ways = ", ".join(f"{q.option} or {variable(q.key)}" for q in missing)
            raise InputError(f"not every answer is given: {ways}", field=missing[0].key)

    def _settle(self, question: Question) -> None:
        there = self._folder.value(question.key)
        text = self._given.get(question.key) or there
        if text is None and question.key == DATABASE:
            text = self._new_database()
        if text is None:
            self._person.tell(f"\n{question.explains}")
            text = self._person.ask(question)
        answer = None if text == LATER else self._proven(question, text, there)
        if answer is None:
            self.outcome.later.append(question.key)
            return
        self._answers[question.key] = answer
        if question.is_secret:
            self._folder.save_secret(question.key, answer)

    def _proven(self, question: Question, text: str, there: str | None) -> str | None:
        """An answer that works, or that the person insists on. None: it is left for later."""
        while True:
            reason, answer = self._try(question.key, text)
            if reason is None and answer is not None:
                if self._may_take(question.key, answer, there):
                    return answer
                text = there or ""
                continue
            if not self._person.answers:
                raise InputError(f"{question.key}: {reason}", field=question.key)
            if answer is None:  # else it was shown what was found out
                self._person.tell(f"That can't be used: {reason}")
            said = self._person.ask_again(question, can_keep=answer is not None)
            if said == KEEP and answer is not None:
                return answer if self._may_take(question.key, answer, there) else there
            if said == LATER:
                return there
            text = said or text

    def _try(self, key: str, text: str) -> tuple[str | None, str | None]:
        """Why the answer can't be taken, or None; and the answer as it is kept, if it can be one at all."""
        try:
            answer = checked(key, text)
        except InputError as error:
            return error.message, None
        if self._wishes.untested:
            return None, answer
        settings = trials.settings_with(self._folder.document, {**self._answers, key: answer})
        findings = asyncio.run(trials.try_out(settings, key))
        if findings:
            self._person.tell(f"\n{key}: {without_password(answer)}" if BY_KEY[key].is_address else f"\n{key}")
            self._person.show(findings)
        self.outcome.findings += findings
        if bad := trials.failed(findings):
            return f"{bad[0].text} ({bad[0].remedy})" if bad[0].remedy else bad[0].text, answer
        return None, answer

    def _may_take(self, key: str, answer: str, there: str | None) -> bool:
        if there is None or answer == there or self._wishes.replace:
            return True
        return self._person.answers and self._person.confirm(f"Replace {key}, which is there?", default=False)

    def _new_database(self) -> str | None:
        """Of a role and database that are made here, if that is wished and can be done."""
        wishes, names = self._wishes, self._wishes.names
        possible = wishes.admin_dsn is not None or new_database.has_local_server()
        wished = wishes.create
        if wished is None and possible and self._person.answers:
            where = "the server that was named" if wishes.admin_dsn else "the PostgreSQL on this computer"
            wished = self._person.confirm(
                f"Make a role {names.role!r} and a database {names.database!r} in {where}?", default=True
            )
        if not wished:
            if self._person.answers:
                self._person.tell("A superuser makes it like this:\n" + new_database.creation_sql(names).rstrip())
            return None
        try:
            url = new_database.create(names, wishes.admin_dsn)
        except DcaError as error:
            if not self._person.answers:
                raise
            self._person.tell(str(error))
            return None
        self._folder.save_secret(DATABASE, url)  # at once: nobody else knows the password
        self._person.tell(f"Role {names.role} and database {names.database} are made.")
        return url

    def _settle_keys(self) -> None:
        there, text = self._folder.value(KEYS), self._given.get(KEYS)
        if there is not None and text is not None and text != there:
            raise InputError(
                f"{self._folder.secret_path(KEYS)} is there already and is never replaced",
                remedy="add further keys to it by hand, each on a line of its own",
                field="encryption_keys",
            )
        if there is None and text is None:
            if self._must_wait_with_new_keys():
                self.outcome.later.append(KEYS)
                return
            text = KeyRing.generate()
            self.outcome.made_keys = True
        self._answers[KEYS] = checked(KEYS, there or text or "")
        if not self._wishes.untested:
            self._try_keys()
        self._folder.save_secret(KEYS, self._answers[KEYS])

    def _must_wait_with_new_keys(self) -> bool:
        """Until the books can be looked at. Raises `InputError` where they need the keys of before."""
        if self._wishes.untested:
            return False
        if DATABASE not in self._answers:
            return True
        try:
            needed = asyncio.run(trials.needs_old_keys(self.settings()))
        except DatabaseError:
            return True
        if needed:
            raise InputError(
                "the books are there already, but not the keys that they were encrypted with",
                remedy=f"give them with {KEYS_OPTION}, or put them into {self._folder.secret_path(KEYS)}",
                field="encryption_keys",
            )
        return False

    def _try_keys(self) -> None:
        findings = asyncio.run(trials.try_out(self.settings(), KEYS))
        self._person.show(findings)
        self.outcome.findings += findings
        if bad := trials.failed(findings):
            raise InputError(f"{KEYS}: {bad[0].text}", remedy=bad[0].remedy or None, field="encryption_keys")

    def _settle_config(self) -> None:
        folder = self._folder
        plain = {key: text for key, text in self._answers.items() if key not in SECRETS}
        more = folder.lacks(plain, SECRETS)
        if more and folder.has_config:
            said = ", ".join(f"{section}.{name}" for section, values in more.items() for name in values)
            question = (
                f"{folder.config} lacks {said}, or says otherwise. Write it anew? The old one is kept beside it."
            )
            if not self._wishes.replace and not (
                self._person.answers and self._person.confirm(question, default=False)
            ):
                raise InputError(f"{folder.config} stays as it is, without {said}", remedy="add --replace")
        if kept := folder.save_config(more):
            self._person.tell(f"The old configuration is in {kept}.")

    def _upgrade(self) -> None:
        """Fills an empty database. One with books in it is for `db upgrade`, which looks after them first."""
        if self._wishes.untested or DATABASE not in self._answers:
            return
        settings = self.settings()
        try:
            found = asyncio.run(_revision(settings))
        except DatabaseError:  # it was taken as it is
            return
        self.outcome.schema_fits = found.fits
        wished = self._wishes.upgrade
        if found.current is not None or wished is False:
            return
        if wished is None:
            wished = self._person.answers and self._person.confirm(
                "Make the tables of the books now?", default=True
            )
        if wished:
            migrate.upgrade(settings.database.sqlalchemy_url)
            asyncio.run(_open_pool(settings))
            self.outcome.schema_fits = True
            self._person.tell("The tables are made.")


async def _revision(settings: Settings) -> migrate.Revision:
    books = wiring.open_database(settings, pool_size=2)
    try:
        return await migrate.revision(books)
    finally:
        await books.close()


async def _open_pool(settings: Settings) -> None:
    books = wiring.open_database(settings, pool_size=2)
    try:
        await ensure_default_pool(books, name=settings.pool.name, currency=settings.pool.currency)
    finally:
        await books.close()
