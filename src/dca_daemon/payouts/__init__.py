"""The payer: what is owed becomes Lightning payments, each proven before it counts."""
