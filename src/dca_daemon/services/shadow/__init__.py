"""What the daemon would do: real intake on scratch books. Nothing here knows a wallet, a key or a payout."""
