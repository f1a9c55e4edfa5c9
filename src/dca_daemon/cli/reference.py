"""Writes docs/cli.md from the commands themselves: `python -m dca_daemon.cli.reference`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dca_daemon.cli.main import PROGRAM, app

_BUILT_IN = {"--help", "--install-completion", "--show-completion"}

PREFACE = f"""\
# Commands

This page is written by `python -m dca_daemon.cli.reference`, from what each command says of itself.

    {PROGRAM} [--config PATH] [--debug] COMMAND [OPTIONS] [ARGUMENTS]

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | refused or failed; one line on stderr, `error: …`, says what and what to do; nothing was changed |
| 2 | called wrongly: an unknown command or option, a missing argument, a value of the wrong form |
| 130 | interrupted (Ctrl-C) |

* Data goes to stdout, everything else to stderr. Warnings of the log go to stderr too.
* `--json` prints one JSON document. Its keys are stable: new ones may be added, none changes its meaning. Sats
  are integers (`…_sats`), millisatoshi too (`…_msat`), fiat is a decimal string with the currency's own digits,
  times are ISO 8601 with their zone, states have the names that they have everywhere, what is absent is `null`.
* A client is named by its id or its name, a cash-out by our number or by Lamassu's id (6 characters of it or
  more will do), a payout by its id (4 characters or more).
* No secret is ever taken from the command line, where other users of the computer could read it.
* What asks for a confirmation asks on the terminal; without one it is refused unless `--yes` is given. A command
  that has no `--yes` asks nothing.
* Who changed what is kept in the audit log as `os:USER`; behind `sudo` that is the user who called it.
* `--debug`, or `DCA_DEBUG=1`, shows where an unexpected fault comes from.
"""

JSON_KEYS: dict[str, str] = {
    "doctor": "`ok`, `findings` (`area`, `name`, `level`: ok, warn or fail, `text`, `remedy`)",
    "init": "`folder`, `files` (`name`, `change`: kept, written or replaced), `findings` (as `doctor`), "
    "`left_open` (the settings that were put off), `remaining` (`text`, `commands`, `sql`)",
    "demo": "its last line on stdout: `agrees`, `cash_outs`, `records`, `payouts`, `paid_sats`, `owed_sats`, "
    "`commission_sats`, `fixed_sats`, `seconds`",
    "version": "`version`, `python`",
    "user add": "`user` (as `user list`)",
    "user list": "`users` (`id`, `name`, `role`, `has_password`, `has_second_factor`, `created_at`, "
    "`disabled_at`, `last_seen_at`, `sessions`: how many are open)",
    "user set-role": "`user` (as `user list`)",
    "user set-password": "`user` (as `user list`)",
    "user disable": "`user` (as `user list`)",
    "user enable": "`user` (as `user list`)",
    "user no-second-factor": "`user` (as `user list`)",
    "user login-link": "`user`, `url`: it lets in once, `minutes`",
    "token add": "`token` (as `token list`), `secret`: the token itself, shown this once",
    "token list": "`tokens` (`id`, `name`, `hint`: how it begins, `scopes`, `client_id`, `created_by`, "
    "`created_at`, `expires_at`, `last_used_at`, `revoked_at`)",
    "token revoke": "`token` (as `token list`)",
    "webhook add": "`webhook` (as `webhook list`), `secret`: shown this once",
    "webhook list": "`webhooks` (`id`, `name`, `url` without its query, `kinds`, `created_at`, `created_by`, "
    "`disabled_at`, `disabled_reason`, `pending`, `delivered`, `given_up`: numbers of deliveries, "
    "`last_delivered_at`)",
    "webhook show": "`webhook` (as `webhook list`), `deliveries` (`id`, `webhook_id`, `event_id`, `kind`, "
    "`state`: pending, delivered or given-up, `attempts`, `next_attempt_at`, `last_status`, `last_error`, "
    "`created_at`, `ended_at`)",
    "webhook disable": "`webhook` (as `webhook list`)",
    "webhook test": "`delivery` (as in `webhook show`)",
    "webhook retry": "`delivery` (as in `webhook show`)",
    "notify test": "`ok`, `targets` (`name`, `sent`, `reason`: why it was not)",
    "audit": "`changes` (`id`, `at`, `actor`, `action`, `subject`, `before`, `after`, `reason`)",
    "reconcile": "`agrees`, `complete`, `began_at`, `since`, `compared` (`settled_payouts`, `settled_sats`, "
    "`settled_fees_msat`, `source_paid`, `source_paid_msat`, `source_listed`, `source_listed_msat`, "
    "`receiver_wallets`, `received`, `received_msat`, `received_listed`, `successful_cash_outs`, "
    "`booked_cash_outs`, `booked_sats`, `known_to_lamassu`, `checks`), `not_compared` (`part`, `reason`), "
    "`counts` (`kind`, `count`), `differences` (`kind`, `text`, `remedy`, `payout_id`, `payment_hash`, "
    "`client_id`, `external_id` of a cash-out; at most 100 of each kind), `notes` (`kind`, `count`, `text`, "
    "`examples`)",
    "backup": "`path`, `backup` (as `backup verify`), `seconds`, `deleted`: names of those that had to go; with "
    "`--drill` as `backup drill`",
    "backup list": "`backups` (`name`, `trouble`: why it is none to count on, `backup` (as `backup verify`): null "
    "with trouble)",
    "backup verify": "`holds`, `opened`: whether all of it was decrypted, `backup` (`archive`, `made_at`, "
    "`cause`: backup, upgrade or drill, `size_bytes`, `sha256`, `encrypted`, `revision` of the schema, "
    "`program_version`, `postings`)",
    "backup drill": "`holds`, `own_key`: whether it was made for a key of the drill's own, `backup` (as `backup "
    "verify`), `checks`: how many of `ledger verify` hold, `seconds` (`backup`, `prepare`, `check`, `restore`, "
    "`compare`, `upgrade`, `verify`, `drop`: those that there were)",
    "restore": "`database`, `backup` (as `backup verify`), `revision_now`, `checks`, `seconds` (as `backup "
    "drill`)",
    "db upgrade": "`before`, `revision`, `changed`, `archive`: path of the backup that was made first, or null, "
    "`pool` (`id`, `name`, `currency`; null while none is open)",
    "db check": "`revision`, `wanted`, `fits`",
    "db rotate-keys": "`encrypted`",
    "lamassu grants": "`role`, `database`; with `--print`: `sql`",
    "lamassu install-trigger": "`installed`, `changed`, `channel`; with `--print`: `sql`",
    "lamassu remove-trigger": "`installed`, `changed`; with `--print`: `sql`",
    "lamassu check": "as `doctor`; with `--print`: `sql`",
    "lamassu baseline": "`baseline` (`source`, `at`, `set_at`, `set_by`, `left_out`), or null",
    "client add": "`client` (as `client show`), `destination_info` (`name`, `min_sats`, `max_sats`)",
    "client list": "`clients` (each as `client show`)",
    "client make-link": "`url`: shown this once, `access` (as `client access`)",
    "client revoke-link": "`access` (as `client access`)",
    "client access": "`access` (`client_id`, `client`, `link`: null or `created_by`, `created_at`, "
    "`last_used_at`; `may_switch_mode`, `may_change_amount`)",
    "client allow": "`access` (as `client access`)",
    "client show": "`client` (`id`, `name`, `mode`, `status`, `destination_kind`, `destination`, `created_at`, "
    "`erased_at`, `balances` with `pool_id`, `pool`, `currency`, `balance`, `pending`, `deposited`, `owed_sats`, "
    "`in_payout_sats`, `settled_sats`, `credit_sats`, `records`), `records` (`id`, `type`, `cash_out_id`, "
    "`happened_at`, `booked_at`, `sats`, `fiat`, `currency`, `fiat_per_btc`, `state`, `payout_id`)",
    "client set": "`client`",
    "client adjust": "`adjustment` (`id`, `client_id`, `client`, `pool_id`, `currency`, `fiat`, `sats`: one "
    "of them null, `reason`, `corrects`, `at`, `actor`), `before`, `after` (its balance, or the "
    "sats that it is owed less those that it was paid ahead)",
    "client adjustments": "`adjustments` (each as in `client adjust`)",
    "client activate": "`client`",
    "client deactivate": "`client`",
    "client changes": "`changes` (as `audit`)",
    "client import": "`import_id`: null until it is done, `source`, `clients` (`external_id`: its number there, "
    "`name`, `mode`, `status`, `destination_kind`, `destination`, `balances` (`pool`, `currency`, `balance`, "
    "`pending`)), `problems`, `notes`",
    "client erase": "`erasure` (`client_id`, `name`, `name_after`, `destinations`, `personal_links`, `tokens`: "
    "how many, `texts` (`table`, `rows`))",
    "deposit record": "`deposit`; with `--confirm` as `deposit confirm`",
    "deposit confirm": "`deposit` (`id`, `client_id`, `client`, `pool_id`, `pool`, `device_id`, `amount`, "
    "`currency`, `state`, `note`, "
    "`recorded_at`, `confirmed_at`, `voided_at`, `void_reason`), `balance_before`, `balance_after`, `currency`",
    "deposit void": "as `deposit confirm`",
    "deposit list": "`deposits`",
    "deposit give-back": "as `cash refill`",
    "cash-out list": "`cash_outs` (`id`, `source`, `external_id`, `happened_at`, `device_id`, `machine_name`, "
    "`crypto_code`, `sats`, `fiat`, `currency`, `state`, `reason`, `reason_text`, `clients`, `client_sats`, "
    "`settled_sats`, `settles_id`, `settled_by_id`). `sats` is a string where a bad row of the source holds no "
    "whole number",
    "cash-out show": "`cash_out` (with `duplicates`, `entered_by`, `entry_reason`), `source_row`, `split` "
    "(null until "
    "distributed; `method`, `charge`, `currency`, "
    "`total_sats`, `principal_sats`, `commission_sats`, `commission_shared_sats`, `commission_version_id`, "
    "`clients_sats`, `uncovered_sats`, `house_sats`, `fiat`, "
    "`charge_fiat`, `clients_fiat`, `uncovered_fiat`, `house_fiat`, `fiat_per_btc`), `shares` (`client_id`, "
    "`client`, `balance_before`, `sats`, `fiat`, `fiat_per_btc`, `state`, `payout_id`, `payout_state`), "
    "`commission` (`client_id`, `receiver`, `percent`, `sats`, `state`, `payout_id`, `payout_state`), "
    "`explanation` (sentences), `log` (`at`, `event`, `detail`, `payout_id`)",
    "cash-out add": "as `cash-out show`; with `--dry-run` of what would be",
    "cash-out ignore": "as `cash-out show`",
    "cash-out process": "as `cash-out show`; with `--filtered`: `cash_outs` (their number), `sats`, `fiat` "
    "(`currency`, `fiat`), `distributed`, `refused` (`id`, `text`)",
    "cash-out review": "as `cash-out list`; of one, or decided, as `cash-out show`",
    "fixed show": "`pool` (`id`, `name`, `currency`), `schedule` (as `fixed set`; null before the first), "
    "`upcoming` (as `fixed preview`), `clients` (each as `fixed client`), `without_amount` (names of clients in "
    "fixed mode)",
    "fixed set": "`schedule` (`pool` (as `fixed show`), `active`, `zone`, `times`, `missed`, `max_per_day`, "
    "`since`, `actor`), `upcoming` (as `fixed preview`)",
    "fixed off": "`schedule` (as `fixed set`)",
    "fixed client": "`amount` (`client_id`, `client`, `mode`, `status`, `pool` (as `fixed show`), `per_day`, "
    "`own_max`: null where the pool's counts, `max_per_day`, `balance`)",
    "fixed preview": "`preview` (`pool` (as `fixed show`), `slot` (`date`, `time`: local, `due_at`, `number` of "
    "`count` that day), `rate` (`fiat_per_btc`, `source`: lnbits or ticker, `at`), `no_rate`: why there is none, "
    "`purchases` (`client_id`, `client`, `amount`, `sats`: null without a rate, `balance`, `bought_that_day`), "
    "`amount`, `sats`, `upcoming` (each as `slot`))",
    "fixed run": "`run` (`id`, `pool`, `slot`, `rate` (as `fixed preview`), `state`: done or nothing, `amount`, "
    "`sats`, `records` (`client_id`, `amount`, `sats`))",
    "fixed history": "`runs` (`id`, `pool`, `rate` (as `fixed preview`), `date`, `time`, `zone`, `due_at`, `at`, "
    "`state`: done, nothing or skipped, `reason`, `actor`, `clients`, `amount`, `sats`, `reversed_at`)",
    "cash-out preview": "`cash_out_id`, `state`, `split`, `shares`, `commission`, `explanation`",
    "cash-out reverse": "`distribution` (as `distribution show`)",
    "commission show": "`version` (`id`: null without any, `pay`: at-once, at-times or from-amount, `pay_times`, "
    "`zone`, `pay_from_sats`, `shares` (`client_id`, `receiver`, `percent`, `active`), `shared_percent`, "
    "`house_percent`, `reason`, `created_at`, `actor`), `next_release_at`, `house_sats`: of all commission so "
    "far, `receivers` (`client_id`, `receiver`, `mode`, `status`, `destination`, `percent`: null without a share, "
    "`active`, `gathered_sats`, `owed_sats`, `in_payout_sats`, `settled_sats`: of commission only). Percentages "
    "are decimal strings",
    "commission set": "`version` (as in `commission show`), `released_sats`",
    "commission add-receiver": "`receiver` (as `client` in `client show`), `destination_info` (`name`, "
    "`min_sats`, `max_sats`)",
    "commission history": "`versions` (each as in `commission show`), `amounts` (`period`: 2026-11 or 2026-11-22, "
    "`client_id`, `receiver`, `records`, `sats`, `settled_sats`)",
    "commission release": "`released` (`client_id`, `receiver`, `records`, `sats`), `released_sats`",
    "distribution list": "`distributions` (each as `distribution show`)",
    "distribution show": "`distribution` (`id`, `kind`, `cash_out_id`, `external_id`, `pool_id`, `currency`, "
    "`total_sats`, `house_sats`, `fiat`, `charge_fiat`, `happened_at`, `booked_at`, `entry_id`, `reason`, "
    "`reversed_at`, `reversal_entry_id`, `records` (`id`, `client_id`, `client`, `type`, `sats`, `fiat`, `state`, "
    "`payout_id`, `payout_state`))",
    "distribution reverse": "`distribution`",
    "payout list": "`payouts` (each as `payout show`)",
    "payout show": "`payout` (`id`, `client_id`, `client`, `destination`, `amount_sats`, "
    "`credit_sats`, `fee_msat`, `state`, `held_from`, `reason`, `memo`, `payment_hash`, `bolt11`, "
    "`invoice_expires_at`, `submits`, `failures`, `last_submit_at`, `next_attempt_at`, `created_at`, "
    "`adopted_at`, `settled_at`, `records`), `records` (`id`, `type`, `cash_out_id`, `happened_at`, `sats`, "
    "`fiat`, `currency`, `state`, `active`), `log` (`at`, `event`, `detail`)",
    "payout retry": "`payout`",
    "payout hold": "`payout`",
    "payout release": "`payout`",
    "payout resolve": "`payout`",
    "pool list": "`pools` (`id`, `name`, `currency`, `cash`, `clients_part`, `house_part`, `machines`: "
    "`device_id`, "
    "null for what nobody told the machine of, `name`, `here`: whether it is in the pool now, `deposits`, "
    "`refills`, `removals`, `dispensed`, `given_back`, `cash`)",
    "pool show": "`pool` (as of `pool list`)",
    "pool add": "`pool` (`id`, `name`, `currency`)",
    "machine list": "`machines` (each as `machine show`)",
    "machine show": "`machine` (`device_id`, `name`, `version`, `pool_id`, `pool`, `currency`, `awaiting_pool`, "
    "`first_seen_at`, `cash_outs`: distributed ones, `waiting`)",
    "machine move": "`machine` (as `machine show`), `pool_before`, and of the cash-outs that had waited: "
    "`distributed`, `distributed_sats`, `not_distributed`",
    "machine accept": "as `machine move`; `machine` as `machine show`",
    "machine name": "as `machine show`",
    "cash refill": "`kind`, `pool_id`, `pool`, `device_id`, `client_id`, `client`, `amount`, `currency`, "
    "`reason`, "
    "`cash_before`, `cash_after`, `house_before`, `house_after`, `balance_before`, `balance_after`: the client's",
    "cash remove": "as `cash refill`",
    "cash report": "as `pool list`",
    "filter list": "`filters` (`id`, `kind`, `value`, `name`, `reason`, `created_at`, `created_by`, `removed_at`, "
    "`removed_by`, `left_out`: how many)",
    "filter add": "`filter` (as of `filter list`)",
    "filter remove": "`filter` (as of `filter list`)",
    "ledger balances": "`accounts` (`account`, `unit`, `kind`, `balance`: integer msat or fiat, `postings`)",
    "ledger statement": "`account`, `unit`, `kind`, `balance`, `postings`, `lines` (`entry_id`, `happened_at`, "
    "`written_at`, `template`, `cause`, `actor`, `amount`, `balance_after`; debits positive)",
    "recover": "`dry_run`, `payments` (`payment_hash`, `payout_id`, `paid_client_id`: as LNbits has it, "
    "`client_id`: whom it counts for, null for a stray, `amount_sats`, `paid_at`, `status`, `fate`: reinstated, "
    "adopted, held or stray, `text`)",
    "ledger verify": "`holds`, `checks` (`name`, `text`, `holds`, `findings`)",
    "treasury show": "`received_msat`, `paid_clients_msat`, `paid_receivers_msat`, `fees_msat`, `losses_msat`, "
    "`kept_msat`, `owed_sats`, `gathered_sats`, `in_flight_sats`, `credits_sats`, `to_pay_sats`, `moved_msat`, "
    "`source_balance_msat` (null with `source_trouble` where LNbits was not asked or did not answer), "
    "`source_trouble`, `reserve_sats`, `to_move_sats`, `zone`, `days` (`day`, `received_msat`, `paid_msat`, "
    "`fees_msat`, `losses_msat`, `kept_msat`, `owed_more_msat`, `moved_msat`)",
    "report client": "`reports` (as `report clients`), `sats` (of all time: `owed_sats`, `in_payout_sats`, "
    "`settled_sats`, `commission_gathered_sats`, `commission_owed_sats`, `commission_in_payout_sats`, "
    "`commission_settled_sats`, `credit_sats`), `records` (`record_id`, `happened_at`, `booked_at`, `type`, "
    "`kind`, `cash_out_id`, `sats`, `fiat`, `currency`, `fiat_per_btc`, `state`, `reversed_at`, `payout_id`)",
    "report clients": "`reports` (`client_id`, `client`, `mode`, `status`, `currency`, `before`, `deposited`, "
    "`given_back`, `adjusted`, `converted`, `left`, `pending`, `bought_sats`, `adjusted_sats`, "
    "`purchases`, `average_fiat_per_btc`, `largest` and `last` (`record_id`, `happened_at`, `sats`, `fiat`, "
    "`fiat_per_btc`), `reversed_records`, `reversed_sats`, `opening_deposited`, "
    "`opening_converted`, `opening_sats`)",
    "report period": "`by`, `zone`, `currencies` (`period`: its first day, `currency`, `cash_outs`, `fiat`, "
    "`sats`, `principal_sats`, `commission_sats`, `commission_shared_sats`, `commission_house_sats`, "
    "`clients_fiat`, `clients_sats`, `uncovered_fiat`, `uncovered_sats`, `fixed_purchases`, `fixed_fiat`, "
    "`fixed_sats`, `house_fiat`, `reversed`, `reversed_sats`), `commission` (`period`, `client_id`, `receiver`, "
    "`sats`), "
    "`payouts` (`period`, `payouts`, `paid_sats`, `fees_msat`, `losses_msat`, `house_gross_sats`, "
    "`house_net_msat`)",
    "import satmachine": "`applied`, `currency`, `clients` (`external_id`, `client`, `mode`, `status`, `daily`, "
    "`deposited`, `converted`, `left`, `pending`, `received_sats`, `average_fiat_per_btc`, `destination`; once "
    "applied with `client_id`, as the books then have them), `sums` (`clients`, `deposited`, `converted`, `left`, "
    "`pending`, `received_sats`), `problems`, `notes`; once applied: `import_id`",
    "simulate": "`since`, `until`, `balances`: now or then, `begun_at`, `clients_from`, `split_method`, "
    "`charge`: the rules, `pools` (`pool_id`, `pool`, `currency`, `cash_outs`: how many, `fiat`: "
    "the notes, `charge`: what clients were charged with the uncovered part, `uncovered`, "
    "`total_sats`, `principal_sats`, `clients_sats`, `uncovered_sats`, `commission_sats`, "
    "`commission_shared_sats`, `house_sats`), `clients` (`client_id`, `client`, `mode`, `status`, "
    "`pool_id`, `pool`, `currency`, `came_in`, `converted`, `left`, `purchases`, `sats`, "
    "`average_fiat_per_btc`), `receivers` (`client_id`, `receiver`, `records`, `sats`: of "
    "commission), `reasons` (`state`: review or ignored, `reason`, `count`), `not_distributed` "
    "(`external_id`, `state`, `reason`, `text`, `happened_at`, `machine`, `fiat`, `fiat_code`, "
    "`crypto_atoms`, `crypto_code`), `cash_outs`, the last ones first (`external_id`, "
    "`happened_at`, `machine`, `pool_id`, `currency`, `fiat`, `charge`, `total_sats`, "
    "`principal_sats`, `commission_sats`, `house_sats`, `shares` (`client_id`, `client`, `type`: "
    "flow or commission, `sats`, `fiat`)), `in_the_books`: null where they were not compared "
    "(`alike`, `differing`: how many, `differences` (`external_id`, `happened_at`, `currency`, "
    "`booked`: null where they do not have it, and `here`, each `state`, `reason`, `total_sats`, "
    "`principal_sats`, `charge`, `house_sats`, `shares`)), `seconds`; with --compare "
    "`configured`: the same, as the configuration says",
    "shadow": "one object a line: `kind` begun (`since`); distributed (as of `cash_outs` in `simulate`); "
    "not-distributed (as of `not_distributed` there); at the end report (as `shadow report`)",
    "shadow report": "as `simulate`, without `since`, `until`, `balances` and `seconds`",
    "shadow discard": "`discarded`: whether there was anything",
    "treasury move": "`move` (`id`, `sats`, `fee_sats`, `reason`, `at`, `actor`)",
}


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command with its full name, in the order of the help."""
    command = typer.main.get_command(app) if command is None else command
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            if child.invoke_without_command:
                yield " ".join((*path, name)), child
            yield from commands(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


def options_of(command: Any) -> Iterator[Any]:
    """A command's own options and arguments."""
    for parameter in command.params:
        if not _BUILT_IN & set(parameter.opts):
            yield parameter


def markdown() -> str:
    """The whole page."""
    parts = [PREFACE, "\n## Before any command\n\n", _table(options_of(typer.main.get_command(app)))]
    group = ""
    groups = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands():
        first, _, rest = name.rpartition(" ")
        first = first or (name if hasattr(command, "commands") else "")
        if first != group:
            group = first
            parts.append(f"\n## {PROGRAM} {group}\n")
            if name != group:  # otherwise its section comes at once, and says it
                parts.append(f"\n{groups[group].help}\n")
        elif not group and rest == "run":
            parts.append("\n## The program itself\n")
        parts.append(_section(name, command))
    return "".join(parts)


def _section(name: str, command: Any) -> str:
    parameters = list(options_of(command))
    arguments = "".join(f" {p.metavar}" for p in parameters if p.param_type_name == "argument")
    text = f"\n### `{PROGRAM} {name}{arguments}`\n\n{inspect.cleandoc(command.help)}\n"
    if parameters:
        text += f"\n{_table(parameters)}"
    if name in JSON_KEYS:
        text += f"\nJSON: {JSON_KEYS[name]}.\n"
    return text


def _table(parameters: Any) -> str:
    rows = "".join(f"| {_spelling(p)} | {_meaning(p)} |\n" for p in parameters)
    return f"| | |\n|---|---|\n{rows}"


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    value = "" if parameter.is_flag else f" {parameter.metavar or parameter.display_type(None)}"
    return f"`{parameter.opts[0]}{value}`".replace("|", "\\|")


def _meaning(parameter: Any) -> str:
    text = (parameter.help or "").rstrip(".") + "."
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    if parameter.default not in (None, False, ()) and parameter.param_type_name == "option":
        return f"{text} Default: `{parameter.default}`."
    return text


if __name__ == "__main__":
    Path("docs/cli.md").write_text(markdown(), encoding="utf-8")
