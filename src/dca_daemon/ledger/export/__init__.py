"""The journal for other programs: JSON, CSV, Beancount, hledger."""
