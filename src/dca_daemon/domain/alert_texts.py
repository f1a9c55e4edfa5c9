"""Each event that alerts: how urgent it is, what it means, what to do, and what is its all-clear."""

from __future__ import annotations

from dca_daemon.domain.alert import Alert, Severity, info, page, warn

DAEMON = (
    page(
        "service.failed",
        "A part of the daemon can't go on, so the daemon ended.",
        "Do what the reason says; systemd starts it again meanwhile.",
        "daemon.active",
        "leader.standby",
    ),
    page(
        "service.crashed",
        "The daemon ended by a fault of the program.",
        "See that it is up again; report the line with its traceback.",
        "daemon.active",
        "leader.standby",
    ),
    page(
        "daemon.standing-by",
        "The active daemon has stopped its work: nothing is booked or paid.",
        "See the reason: usually our database was restarted.",
        "daemon.active",
        "leader.standby",
    ),
    page(
        "leader.database-unreachable",
        "Our own database can't be reached: nothing is booked or paid.",
        "Start PostgreSQL, or correct database.url.",
        "leader.acquired",
        "leader.standby",
    ),
    warn(
        "leader.lost",
        "This daemon is no longer the active one: its connection to our database was cut.",
        "See whether our database was restarted or is hard to reach.",
        "leader.acquired",
        "leader.standby",
    ),
    page(
        "intake.waits",
        "Our database is away or takes no writes: cash-outs wait to be booked.",
        "Bring it back; make room on its disk.",
        "intake.resumed",
    ),
    page(
        "payer.waits",
        "Our database is away or takes no writes: nothing is paid.",
        "Bring it back; make room on its disk.",
        "payer.resumed",
    ),
    warn(
        "signals.lost",
        "The connection for notifications of our database is lost: news come later.",
        "See whether our database is up.",
        "signals.recovered",
    ),
    info(
        "signals.deaf",
        "Notifications of our database do not get through; it is looked at intervals instead.",
        "Give the address of PostgreSQL itself in database.url.",
    ),
    warn(
        "clock.off",
        "This computer's clock and a database's differ: fixed runs may come at a wrong time.",
        "Switch NTP on, on both computers: timedatectl.",
        "clock.right",
        subject="whose",
    ),
    warn(
        "disk.low",
        "Little room is left on a disk; a full one stops the books.",
        "Make room: old dumps, logs, the write-ahead log of a standby that is gone.",
        "disk.enough",
        subject="path",
    ),
    warn(
        "watch.failed",
        "Something that is watched could not be looked at, so that it would not alert.",
        "See the reason.",
        "watch.recovered",
        subject="what",
    ),
    warn(
        "notify.failed",
        "A notification could not be sent; it is tried again.",
        "See the reason, then: dca-daemon notify test.",
        "notify.recovered",
        subject="target",
    ),
    warn(
        "notify.error",
        "A notification failed by a fault of the program; others may be missing until the daemon is started anew.",
        "Report the line with its traceback.",
    ),
    warn(
        "notify.dropped",
        "So much happened at once that some of it was left out of the notifications; the log has it all.",
        "Read the log of that time.",
    ),
    page(
        "backup.overdue",
        "The last backup failed, or the last good one is too old.",
        "journalctl -u dca-backup, then systemctl start dca-backup.",
        "backup.recent",
    ),
    warn(
        "retention.failed",
        "What is over could not be forgotten; it is tried again.",
        "See the reason: usually our database is away.",
        "retention.forgotten",
    ),
)

CASH_OUTS = (
    page(
        "scanner.failed",
        "Lamassu's database can't be read: cash-outs are not seen. Nothing is lost.",
        "Start it, or the tunnel to it: dca-daemon lamassu check.",
        "scanner.recovered",
        subject="work",
    ),
    page(
        "baseline.waits",
        "The first look at Lamassu's database could not be taken: no cash-out is seen.",
        "See the reason: usually one of the databases is away.",
        "baseline.set",
        "baseline.found",
    ),
    warn(
        "listener.lost",
        "The connection for notifications of Lamassu's database is lost; the daemon polls meanwhile.",
        "See whether that database, or the tunnel to it, is up.",
        "listener.recovered",
    ),
    warn(
        "listener.deaf",
        "No notification of Lamassu's database gets through; the daemon polls.",
        "Set lamassu.listen_dsn to a direct connection.",
        "listener.connected",
    ),
    warn(
        "listener.trigger-missing",
        "The trigger in Lamassu's database is not in order; the daemon polls.",
        "dca-daemon lamassu install-trigger. An upgrade of Lamassu may have removed it.",
        "listener.connected",
    ),
    warn(
        "tunnel.lost",
        "The tunnel to Lamassu's database is lost; it is made again without end.",
        "See whether that server is up and still takes our key.",
        "tunnel.up",
    ),
    page(
        "tunnel.refused",
        "The tunnel to Lamassu's database must not be opened: another host key, or our key is refused.",
        "Do what the line's remedy says; somebody may be in between.",
        "tunnel.up",
    ),
    page(
        "cash-out.refused",
        "Our database refused to book a cash-out: it is not distributed.",
        "dca-daemon ledger verify, then dca-daemon cash-out show.",
        subject="external_id",
    ),
    page(
        "cash-out.unwritable",
        "The books refuse even to keep a row of Lamassu's.",
        "See the reason, and the row in Lamassu's database.",
        subject="external_id",
    ),
    page(
        "cash-out.contradicted",
        "Lamassu has changed a cash-out that was distributed already.",
        "dca-daemon cash-out show; find out who has the cash.",
        subject="external_id",
    ),
    warn(
        "intake.batch-refused",
        "A batch could not be booked as a whole; its cash-outs are booked one by one.",
        "See the cash-out.refused that follows.",
    ),
    warn(
        "scanner.row-refused",
        "One row of Lamassu's could not be handed on; it is tried again.",
        "Read the reason; report it if it is not one of our database's.",
        subject="external_id",
    ),
    warn(
        "cash-out.review",
        "A cash-out waits for a person, and is not distributed meanwhile.",
        "dca-daemon cash-out show, then decide.",
        subject="external_id",
    ),
    warn(
        "cash-out.succeeded-after-all",
        "Lamassu has as successful what was settled by hand, or ignored.",
        "See that nobody was paid twice: dca-daemon cash-out show.",
        subject="external_id",
    ),
    info(
        "cash-out.duplicate",
        "A cash-out that is booked already came again; nothing was done.",
        subject="external_id",
    ),
)

PAYING = (
    page(
        "lnbits.lost",
        "LNbits can't be reached: payouts wait. Cash-outs are booked all the same.",
        "Start LNbits, or correct lnbits.url or lnbits.admin_key.",
        "lnbits.back",
    ),
    page(
        "wallet.short",
        "The source wallet holds too little: payouts wait.",
        "Send at least missing_sats to it.",
        "wallet.enough",
    ),
    warn(
        "wallet.low",
        "The source wallet is below the amount that you set; payouts still go on.",
        "Send it more.",
        "wallet.filled",
    ),
    page(
        "payout.source-refused",
        "LNbits refuses the key of the wallet that pays: nothing is paid.",
        "Correct lnbits.admin_key: the admin key of that wallet.",
        "payout.settled",
    ),
    page(
        "payout.unknown-long",
        "For some time it could not be told whether payments went through.",
        "See whether LNbits answers: dca-daemon payout list --state unknown.",
        "payout.known",
    ),
    warn(
        "payout.held",
        "A payout waits for a person; it is not paid again by itself.",
        "dca-daemon payout show, then decide.",
        subject="payout_id",
    ),
    warn(
        "payout.failed",
        "A payout failed, and no money moved; it is owed again and paid by a new one.",
        "If it repeats for one client, check its destination.",
        subject="client_id",
    ),
    warn(
        "payout.receiver-unseen",
        "A receiver's wallet can't be looked into: it is gone, or its invoice key has changed.",
        "Ask the client; dca-daemon client set.",
        subject="client_id",
    ),
    warn(
        "payout.error",
        "A step of a payout failed by a fault of the program; it is tried again.",
        "Report the line with its traceback.",
        subject="payout_id",
    ),
    warn(
        "lnbits.error",
        "The source wallet could not be read, by a fault of the program; payouts wait.",
        "Report the line with its traceback.",
    ),
    warn(
        "lnbits.rate-limited",
        "LNbits had too many requests; payouts wait for a moment.",
        "If it repeats: lower lnbits.requests_per_minute, or raise LNbits' limit.",
    ),
    page(
        "fixed.no-rate",
        "There is no believable rate: Fixed Mode clients do not buy.",
        "See the reason: give LNbits a price service, or find out which of two rates is wrong.",
        "fixed.run",
        "fixed.skipped",
        subject="pool_id",
    ),
    warn(
        "fixed.skipped",
        "Fixed Mode clients did not buy at a set time, and will not.",
        "Find out why no daemon, or no rate, was there.",
        subject="pool_id",
    ),
    warn(
        "fixed.failed",
        "It could not be looked whether a fixed run is due; it is tried again.",
        "See the reason: usually our database is away.",
        subject="pool_id",
    ),
    warn(
        "commission.release-failed",
        "It could not be looked whether gathered commission is due; it is tried again.",
        "See the reason: usually our database is away.",
    ),
)

COMPARING = (
    Alert(
        "reconcile.differs",
        Severity.PAGE,
        "The books, LNbits and Lamassu do not tell the same.",
        "dca-daemon reconcile shows each difference and its remedy.",
        ("reconcile.agrees",),
        retold=False,
    ),
    warn(
        "reconcile.failed",
        "The books could not be compared with LNbits and Lamassu; it is tried again.",
        "See the reason: usually a partner is away.",
        "reconcile.agrees",
        "reconcile.differs",
        retold=False,
    ),
    page(
        "recovery.stray",
        "LNbits knows a payment to a client that the books do not have.",
        "Restored an old backup? See docs/operations.md, Restoring. If not, the books have lost a client.",
        subject="payment_hash",
    ),
    page(
        "recovery.failed",
        "LNbits does not list its payments as asked: nothing is paid until it does.",
        "See the reason in the line.",
    ),
    page(
        "recovery.error",
        "The search for forgotten payments failed by a fault of the program: nothing is paid.",
        "Report the line with its traceback.",
    ),
    warn(
        "recovery.adopted",
        "LNbits knows a payment that the books had forgotten; it became a credit of the client's.",
        "Nothing after a restore; otherwise find out why the books forget.",
        subject="payout_id",
    ),
    warn(
        "recovery.reinstated",
        "A payout has its invoice back, which the books had forgotten.",
        "Nothing after a restore; otherwise find out why the books forget.",
        subject="payout_id",
    ),
    warn(
        "recovery.done",
        "Forgotten payments were found and taken up; paying begins.",
        "Compare with what you expect: dca-daemon payout list.",
    ),
)

ELSEWHERE = (
    Alert(
        "backup.failed",
        Severity.PAGE,
        "A backup could not be made.",
        "Do what the reason says, then systemctl start dca-backup.",
        ("backup.done",),
        retold=False,
    ),
    Alert(
        "backup.drill-failed",
        Severity.WARN,
        "A drill could not restore or verify a backup.",
        "Do what the reason says; until a drill succeeds, do not count on the backups.",
        ("backup.drilled",),
        retold=False,
    ),
    warn(
        "console.bug",
        "A fault of the console; nothing was changed by it.",
        "Report the line with its traceback.",
    ),
    warn(
        "console.login-limited",
        "Too many logins have failed for one name, or from one address.",
        "See whose address that is. Who is locked out gets in with dca-daemon user login-link.",
        subject="address",
    ),
    warn(
        "webhook.failing",
        "A webhook's receiver does not accept what it is sent; tried again for three days.",
        "Tell whoever runs it.",
        "webhook.recovered",
        "webhook.given-up",
        "webhook.ended",
        subject="webhook_id",
        retold=False,
    ),
    warn(
        "webhook.given-up",
        "An event could not be delivered to a webhook for three days, and is given up.",
        "dca-daemon webhook show; later dca-daemon webhook retry.",
        subject="webhook_id",
    ),
    warn(
        "webhook.ended",
        "A webhook was disabled, since its receiver is gone.",
        "Add a new one when the receiver is well.",
        subject="webhook_id",
    ),
)
