"""What clients, operators and accountants want to know: read only, currency by currency."""
