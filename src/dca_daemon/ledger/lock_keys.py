"""The keys of our advisory locks, all in one place: two of one number would wait for each other.

Our own prefix, so that another program's locks in the same database are never ours.
"""

SCHEMA = 0x0DCA_0000_0001  # migrations
BASELINE = 0x0DCA_0000_0002
LEADER = 0x0DCA_0000_0003  # the session lock of the daemon that is active
MANUAL_ENTRY = 0x0DCA_0000_0004  # one entry at a time: two of one reference must meet
COMMISSION = 0x0DCA_0000_0005  # changing the shares, and releasing what is gathered
WEBHOOKS = 0x0DCA_0000_0006  # the session lock of the process that sends webhooks
USERS = 0x0DCA_0000_0007  # changing who may use the console: an admin must be left
SCRATCH = 0x0DCA_0000_0008  # the session lock of who works in a scratch place; plus its number
POOL_CLASS = 0x0DCA_0001  # the first half of a two-part key; the second is the pool's id
