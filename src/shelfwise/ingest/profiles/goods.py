"""Names on receipts and orders that are no goods: nothing of them lies on a shelf."""

from __future__ import annotations

from typing import Final

NO_GOODS: Final = (
    r"(?i)\b(?:e-?)?gift[ -]?(?:card|voucher|certificate)s?\b|geschenk(?:karte|gutschein)|^gutschein\b|carte[ -]cadeau"
    r"|tarjeta (?:de )?regalo|(?:buono|carta) regalo|cadeau(?:bon|kaart)"
    r"|^(?:tips?|gratuity|trinkgeld|pourboire|propina|mancia|fooi)$"
    r"|^(?:shipping|delivery|postage|versand(?:kosten)?|frais de port|env[ií]o|spedizione|verzendkosten)$"
    r"|\b(?:shipping|package|order) protection\b"
)
