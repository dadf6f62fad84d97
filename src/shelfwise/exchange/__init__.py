"""Files and messages that leave the house: purchase-order exports."""
