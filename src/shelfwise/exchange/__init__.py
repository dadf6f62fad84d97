"""Files and messages that leave the house or come in: purchase-order exports, event transports."""
