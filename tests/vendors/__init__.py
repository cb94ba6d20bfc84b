"""What every vendor promises, held against the bytes that vendors send."""
