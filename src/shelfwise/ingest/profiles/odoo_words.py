"""The words of Odoo: headers of its exports by technical name and by label, states, and what kind a location is.

Exports show labels in the user's language, or technical names with "import-compatible export". Labels of stock moves in
German, French, Spanish, Italian, Dutch and Swedish are those of the translation files of the stock module (locations,
demand, status, source document); the others and Portuguese are as the programs show them and may lack a version's word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import polars as pl

from shelfwise.ingest.detect import normalised

PRODUCT: Final = "product_id, Product, Produkt, Produit, Producto, Prodotto, Produto"
CODE: Final = (
    "product_id/default_code, Product/Internal Reference, Produkt/Interne Referenz, Produit/Référence interne, "
    "Producto/Referencia interna, Prodotto/Riferimento interno, Product/Interne referentie, "
    "Produto/Referência interna, Produkt/Intern referens"
)
DATE: Final = (
    "date, Date Scheduled, Scheduled Date, Datum, Geplantes Datum, Fecha, Fecha programada, Fecha prevista, Data, "
    "Data programmata, Date planifiée, Date prévue, Geplande datum, Data agendada, Data programada, Planerat datum"
)
DONE: Final = (
    "quantity, quantity_done, qty_done, Quantity Done, Done, Menge, Erledigt, Erledigte Menge, Quantité, Fait, "
    "Quantité faite, Cantidad, Hecho, Cantidad hecha, Quantità, Completato, Quantità completata, Hoeveelheid, Gereed, "
    "Quantidade, Concluído, Quantidade concluída, Antal, Kvantitet, Klar"
)
DEMAND: Final = "product_uom_qty, Demand, Initial Demand, Bedarf, Demande, Demanda, Richiesto, Gevraagd, Efterfrågan"
REAL: Final = (
    "product_qty, Real Quantity, Tatsächliche Menge, Reale Menge, Quantité réelle, Cantidad real, Quantità reale, "
    "Werkelijke hoeveelheid, Quantidade real, Verklig kvantitet"
)
UNIT: Final = (
    "product_uom, uom_id, product_uom_id, Unit of Measure, UoM, Unit, Maßeinheit, Einheit, Unité de mesure, Unité, "
    "UdM, Unidad de medida, Unidad, Unità di misura, Unità, Maateenheid, Eenheid, Unidade de medida, Unidade, "
    "Måttenhet, Enhet"
)
FROM: Final = (
    "location_id, Source Location, From, Lagerort (Quelle), Quelllagerort, Von, Emplacement d'origine, "
    "Ubicación de origen, Ubicación origen, Ubicazione di origine, Bronlocatie, Local de origem, Ursprungsplats"
)
TO: Final = (
    "location_dest_id, Intermediate Location, Destination Location, To, Ziellagerort, Zwischenlagerort, "
    "Emplacement de destination, Emplacement intermédiaire, Ubicación destino, Ubicación de destino, "
    "Ubicación intermedia, Ubicazione di destinazione, Ubicazione intermedia, Bestemmingslocatie, Tussenlocatie, "
    "Local de destino, Destinationsplats"
)
FROM_USAGE: Final = (
    "location_usage, Source Location Type, Typ der Quellstandorts, Typ des Quellstandorts, "
    "Type d'emplacement d'origine, Tipo de ubicación de origen, Tipo ubicazione di origine, Type bronlocatie"
)
TO_USAGE: Final = (
    "location_dest_usage, Destination Location Type, Art des Lieferzielorts, Type d'emplacement de destination, "
    "Tipo de ubicación de destino, Tipo ubicazione di destinazione, Bestemmingslocatie type"
)
STATE: Final = "state, Status, State, Statut, Estado, Stato, Situação"
LOCATION: Final = "location_id, Location, Lagerort, Standort, Emplacement, Ubicación, Ubicazione, Locatie, Local, Plats"

_ORDERS: Final = (
    "Order Reference", "Auftragsreferenz", "Référence de la commande", "Référence commande", "Referencia del pedido",
    "Referencia de la orden", "Riferimento ordine", "Orderreferentie", "Referência do pedido", "Orderreferens",
)  # fmt: skip
_ORDER_DATES: Final = (
    "Order Date", "Auftragsdatum", "Date de la commande", "Date de commande", "Fecha de pedido", "Fecha de la orden",
    "Data ordine", "Orderdatum", "Data do pedido",
)  # fmt: skip
LINE_ORDER: Final = ", ".join(("order_id", *_ORDERS))
LINE_DATE: Final = ", ".join(
    ("order_id/date_order", *(f"{order}/{day}" for order in _ORDERS for day in _ORDER_DATES))
)  # of a line: two parts, which no other program writes so
ORDER: Final = ", ".join(("name", *_ORDERS))
ORDER_DATE: Final = ", ".join(("date_order", *_ORDER_DATES))
ORDER_STATE: Final = (
    "order_id/state, Order Status, Order Reference/Status, Auftragsstatus, Statut de la commande, Estado del pedido, "
    "Estado de la orden, Stato ordine, Orderstatus, Status do pedido"
)
_LINES: Final = (
    "order_line", "Order Lines", "Auftragszeilen", "Lignes de la commande", "Lignes de commande", "Líneas del pedido",
    "Líneas de la orden", "Righe ordine", "Orderregels", "Linhas do pedido", "Orderrader",
)  # fmt: skip


def of_order(headers: str) -> str:
    """Return headers as they stand below an order: ``Order Lines/Product``.

    >>> of_order("Unit Price").split(", ")[:2]
    ['order_line/Unit Price', 'Order Lines/Unit Price']
    """
    return ", ".join(f"{lines}/{name.strip()}" for name in headers.split(",") for lines in _LINES)


ORDERED: Final = (
    "product_uom_qty, Quantity, Ordered Quantity, Ordered Qty, Menge, Bestellte Menge, Quantité, Quantité commandée, "
    "Cantidad, Cantidad pedida, Quantità, Quantità ordinata, Hoeveelheid, Bestelde hoeveelheid, Quantidade, "
    "Quantidade pedida, Kvantitet, Antal"
)
DELIVERED: Final = (
    "qty_delivered, Delivery Quantity, Delivered Quantity, Delivered, Gelieferte Menge, Quantité livrée, "
    "Cantidad entregada, Quantità consegnata, Geleverde hoeveelheid, Quantidade entregue, Levererad kvantitet"
)
PRICE: Final = (
    "price_unit, Unit Price, Einzelpreis, Preis pro Einheit, Stückpreis, Prix unitaire, Precio unitario, "
    "Prezzo unitario, Eenheidsprijs, Preço unitário, Enhetspris, Styckpris"
)
DISCOUNT: Final = "discount, Discount (%), Rabatt (%), Remise (%), Descuento (%), Sconto (%), Korting (%), Desconto (%)"
LINE_TYPE: Final = "display_type, Display Type"

VENDOR: Final = (
    "partner_id, name, Vendor, Supplier, Lieferant, Fournisseur, Proveedor, Fornitore, Leverancier, Fornecedor, "
    "Leverantör"
)
VARIANT: Final = (
    "product_id, Product Variant, Produktvariante, Variante de produit, Variante de producto, Variante del producto, "
    "Variante prodotto, Productvariant, Variante do produto, Produktvariant"
)
TEMPLATE: Final = (
    "product_tmpl_id, Product Template, Produktvorlage, Modèle de produit, Modèle d'article, Plantilla de producto, "
    "Plantilla del producto, Modello prodotto, Productsjabloon, Modelo de produto, Produktmall, "
) + VARIANT
LEAD: Final = (
    "delay, Lead Time, Delivery Lead Time, Lieferzeit, Vorlaufzeit, Lieferzeit (Tage), Délai de livraison, Délai, "
    "Plazo de entrega, Tiempo de entrega, Tempo di consegna, Tempo di risposta, Levertijd, Doorlooptijd, "
    "Prazo de entrega, Ledtid, Leveranstid"
)
LEAST: Final = (
    "min_qty, Quantity, Minimal Quantity, Mindestmenge, Menge, Quantité, Cantidad, Quantità, Hoeveelheid, Quantidade, "
    "Kvantitet"
)
COST: Final = "price, Price, Unit Price, Preis, Prix, Precio, Prezzo, Prijs, Preço, Pris"
CURRENCY: Final = "currency_id, Currency, Währung, Devise, Moneda, Valuta, Divisa, Munteenheid, Moeda"
STARTS: Final = "date_start, Start Date, Startdatum, Date de début, Fecha de inicio, Data di inizio, Data de início"
ENDS: Final = (
    "date_end, End Date, Enddatum, Date de fin, Fecha de finalización, Fecha final, Data di fine, Einddatum, "
    "Data de término, Slutdatum"
)

MINIMUM: Final = (
    "product_min_qty, Min Quantity, Min Qty, Mindestmenge, Min. Menge, Qté min, Quantité minimale, Cantidad mínima, "
    "Quantità minima, Min hoeveelheid, Quantidade mínima, Min. kvantitet"
)
MAXIMUM: Final = (
    "product_max_qty, Max Quantity, Max Qty, Höchstmenge, Max. Menge, Qté max, Quantité maximale, Cantidad máxima, "
    "Quantità massima, Max hoeveelheid, Quantidade máxima, Max. kvantitet"
)
MULTIPLE: Final = (
    "qty_multiple, Multiple Quantity, Qty Multiple, Vielfaches der Menge, Mengenvielfaches, Quantité multiple, "
    "Qté multiple, Múltiplo de cantidad, Cantidad múltiple, Quantità multipla, Multipel hoeveelheid, "
    "Quantidade múltipla, Multipel kvantitet"
)
ON_HAND: Final = (
    "qty_on_hand, qty_available, On Hand, Quantity On Hand, On Hand Quantity, Vorrätig, Vorrätige Menge, Bestand, "
    "En stock, Quantité en stock, A mano, A la mano, Cantidad a mano, Disponibile, Quantità disponibile, Beschikbaar, "
    "Beschikbare hoeveelheid, Em mãos, I lager, Till hands"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(map(normalised, text.split(",")))


DONE_WORDS: Final = _words(
    "done, erledigt, fait, terminé, effectué, hecho, realizado, completato, fatto, gereed, voltooid, concluído, feito, "
    "klar, utförd"
)
CANCELLED_WORDS: Final = _words(
    "cancel, cancelled, canceled, annulé, annulée, storniert, abgebrochen, cancelado, cancelada, annullato, "
    "geannuleerd, avbruten, inställd"
)
SOLD_WORDS: Final = _words(
    "sale, done, locked, sales order, verkaufsauftrag, gesperrt, commande client, bon de commande, verrouillé, "
    "pedido de venta, orden de venta, bloqueado, ordine di vendita, bloccato, verkooporder, vergrendeld, "
    "pedido de vendas, pedido de venda, säljorder, försäljningsorder, låst"
)
OFFER_WORDS: Final = _words(
    "draft, sent, quotation, quotation sent, angebot, angebot gesendet, angebot versendet, devis, devis envoyé, "
    "presupuesto, presupuesto enviado, cotización, cotización enviada, preventivo, preventivo inviato, offerte, "
    "offerte verzonden, cotação, cotação enviada, offert, offert skickad"
)

_USAGES: Final = {
    "internal": "internal, internal location, interner lagerort, interner standort, emplacement interne, "
                "ubicación interna, ubicazione interna, interne locatie, local interno, intern plats",
    "customer": "customer, customer location, kundenlagerort, kundenstandort, emplacement client, "
                "ubicación de cliente, ubicación del cliente, ubicazione cliente, klantlocatie, local do cliente, "
                "kundplats",
    "supplier": "supplier, vendor location, lieferantenlagerort, lieferantenstandort, emplacement fournisseur, "
                "ubicación de proveedor, ubicación del proveedor, ubicazione fornitore, leverancierslocatie, "
                "local do fornecedor, leverantörsplats",
    "inventory": "inventory, inventory loss, inventurverlust, bestandsverlust, perte d'inventaire, "
                 "pérdida de inventario, pérdidas de inventario, perdita di inventario, voorraadverlies, "
                 "perda de inventário, lagerförlust",
    "production": "production, produktion, fertigung, producción, produzione, productie, produção",
    "transit": "transit, transit location, transitlagerort, transitstandort, emplacement de transit, "
               "ubicación de tránsito, ubicazione di transito, transitlocatie, transitolocatie, local de trânsito",
}  # fmt: skip
_USAGE_OF: Final = {normalised(word): usage for usage, words in _USAGES.items() for word in words.split(",")}
_PATHS: Final = (
    ("customer", r"(?:^|/)\s*(?:customers?|kunden|clients|clientes|clienti|klanten|kunder)\s*(?:/|$)"),
    ("supplier", r"(?:^|/)\s*(?:vendors?|suppliers?|lieferanten|fournisseurs|proveedores|fornitori|leveranciers|"
                 r"fornecedores|leverantorer)\s*(?:/|$)"),
    ("transit", r"transit"),
    ("production", r"(?:^|virtu[^/]*/)\s*(?:produ|fertigung)[^/]*$"),
    ("inventory", r"^(?:[^/]* )?virtu|(?:^|/)\s*(?:inventory (?:adjustment|loss)|scrap)[^/]*$"),
    ("unknown", r"^partner"),
    ("internal", r"^[^/]+/"),
)  # fmt: skip


def usages(locations: pl.Series, written: pl.Series | None) -> pl.Series:
    """Return what kind each location is: internal, customer, supplier, inventory, production, transit; null: not known.

    Parameters
    ----------
    locations
        Full names, like ``WH/Stock`` or ``Partners/Customers``.
    written
        The kind as the export says it, where it does.

    >>> usages(pl.Series(["WH/Stock", "Partners/Customers", "Virtual Locations/Scrap"]), None).to_list()
    ['internal', 'customer', 'inventory']
    """
    names = {name: _usage(name) for name in locations.unique().drop_nulls().to_list()}
    by_name = locations.replace_strict(names, default=None, return_dtype=pl.String)
    if written is None:
        return by_name
    words = {word: _USAGE_OF.get(normalised(word)) for word in written.unique().drop_nulls().to_list()}
    return written.replace_strict(words, default=None, return_dtype=pl.String).fill_null(by_name)


def _usage(location: str) -> str | None:
    plain = "/".join(_plain(part) for part in location.split("/"))
    found = next((usage for usage, pattern in _PATHS if re.search(pattern, plain)), None)
    return None if found == "unknown" else found


def _plain(text: str) -> str:
    """Return text in lower case without accents."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))
