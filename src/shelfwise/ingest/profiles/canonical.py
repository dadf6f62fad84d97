"""Shelfwise's own tables: sales, stock, products, bundles, suppliers, open_orders and events, one file each.

Headers are known in English, German, French, Spanish, Italian, Dutch, Portuguese and Swedish. docs/formats.md shows
each table.

Ids of sales without an id of their own: dates alone make a daily table (see `daily`); times of day make single sales,
known by product, warehouse, moment, quantity and price with a number for repeats.

Longer than most files because it is one list of headers and one reader per table, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from shelfwise.domain.errors import FileRefused
from shelfwise.domain.frames import EVENT_KINDS
from shelfwise.ingest.profiles.base import Options, Part, Role, column, movements_frame
from shelfwise.ingest.profiles.daily import (
    booked,
    default_text,
    drop_repeats,
    drop_zeros,
    from_sieve,
    launches,
    mark,
    optional_number,
    row_key,
    sale_or_return,
)
from shelfwise.ingest.quality import Sieve
from shelfwise.ingest.receipt import FileReceipt
from shelfwise.ingest.tables import LINE

_PRODUCT: Final = (
    "sku, product, product code, product id, item, item code, item number, code, article, article number, artikel, "
    "artikelnummer, artikelnr, artikel nr, référence, reference, réf, article code, producto, código, codigo, "
    "artículo, referencia, prodotto, codice, articolo, codice articolo, artikelcode, artikelnummer, produto, artigo, "
    "código do produto, produkt, produktkod, artnr"
)
_WAREHOUSE: Final = (
    "warehouse, location, store, shop, site, lager, lagerort, filiale, standort, entrepôt, magasin, emplacement, "
    "almacén, tienda, ubicación, magazzino, negozio, deposito, magazijn, winkel, locatie, vestiging, armazém, loja, "
    "filial, butik, lagerställe"
)
_PRICE: Final = (
    "price, unit price, sale price, selling price, preis, einzelpreis, verkaufspreis, stückpreis, prix, prix unitaire, "
    "precio, precio unitario, prezzo, prezzo unitario, prijs, stukprijs, verkoopprijs, preço, preço unitário, "
    "preço de venda, pris, styckpris, försäljningspris"
)
_SUPPLIER: Final = "supplier, vendor, lieferant, fournisseur, proveedor, fornitore, leverancier, fornecedor, leverantör"
_QUANTITY: Final = (
    "units, quantity, qty, units sold, quantity sold, sold, menge, anzahl, stück, stückzahl, verkaufte menge, "
    "quantité, qté, quantités, cantidad, unidades, quantità, qta, pezzi, aantal, hoeveelheid, stuks, quantidade, qtd, "
    "qtde, antal, kvantitet"
)
_NAME: Final = (
    "name, product name, description, title, bezeichnung, artikelbezeichnung, produktname, nom, désignation, libellé, "
    "nombre, descripción, nome, descrizione, naam, omschrijving, descrição, designação, namn, benämning, beskrivning"
)
_COST: Final = (
    "unit cost, cost, purchase price, cost per item, einkaufspreis, ek, ek preis, coût, prix d'achat, costo, coste, "
    "precio de compra, prezzo di acquisto, costo unitario, inkoopprijs, kostprijs, custo, custo unitário, "
    "preço de custo, preço de compra, inköpspris"
)

SALES: Final = Role(
    "sales",
    (
        column("occurred_at", "date, day, sold at, sale date, date sold, order date, datetime, occurred at, datum, "
               "verkaufsdatum, tag, jour, date de vente, fecha, día, data, giorno, verkoopdatum, dag, data da venda, "
               "försäljningsdatum", required=True),
        column("product", _PRODUCT, required=True),
        column("quantity", _QUANTITY, required=True),
        column("warehouse", _WAREHOUSE),
        column("unit_price", _PRICE),
        column("revenue", "revenue, net sales, sales amount, amount, turnover, umsatz, erlös, chiffre d'affaires, "
               "montant, ingresos, importe, ricavo, ricavi, importo, omzet, bedrag, receita, faturamento, "
               "omsättning, belopp"),
        column("line_id", "line id, id, line, transaction line id"),
        column("order", "order, order id, order number, order no, receipt number, transaction id, bestellnummer, "
               "belegnummer, commande, numéro de commande, pedido, ordine, bestelling, bestelnummer, encomenda, "
               "número do pedido, ordernummer"),
    ),
)  # fmt: skip
STOCK: Final = Role(
    "stock",
    (
        column("product", _PRODUCT, required=True),
        column("on_hand", "on hand, stock, stock on hand, quantity on hand, qty on hand, inventory, stock level, "
               "bestand, lagerbestand, istbestand, en stock, stock disponible, existencias, inventario, giacenza, "
               "scorta, voorraad, estoque, em estoque, existências, lagersaldo, i lager", required=True),
        column("warehouse", _WAREHOUSE),
        column("as_of", "as of, date, counted at, snapshot date, stichtag, stand, zähldatum, datum, fecha, data"),
    ),
)  # fmt: skip
PRODUCTS: Final = Role(
    "products",
    (
        column("product", _PRODUCT, required=True),
        column("name", _NAME),
        column("category", "category, product category, kategorie, warengruppe, catégorie, famille, categoría, "
               "familia, categoria, categorie, productgroep"),
        column("brand", "brand, marke, marque, marca, merk"),
        column("supplier", _SUPPLIER),
        column("unit_cost", _COST),
        column("price", _PRICE),
        column("pack_size", "pack size, pack, case size, units per pack, verpackungseinheit, vpe, gebindegröße, "
               "colisage, tamaño de paquete, confezione, verpakkingseenheid"),
        column("minimum_order_quantity", "moq, minimum order quantity, min order qty, mindestbestellmenge, "
               "quantité minimale, cantidad mínima, quantità minima, minimale bestelhoeveelheid"),
        column("launched_on", "launch date, launched on, launched, einführung, startdatum, einführungsdatum"),
        column("discontinued_on", "end date, discontinued on, discontinued, auslauf, enddatum, auslaufdatum, "
               "date de fin, fecha de fin, data di fine, einddatum"),
        column("replaces", "replaces, predecessor, vorgänger, ersetzt, remplace"),
    ),
    at_least=2,
)  # fmt: skip
BUNDLES: Final = Role(
    "bundles",
    (
        column("bundle", "bundle, bundle sku, bundle code, kit, kit sku, set, bündel, paket, lot, conjunto, pacchetto, "
               "pakket", required=True),
        column("component", "component, component sku, component code, part, komponente, bestandteil, composant, "
               "componente, onderdeel", required=True),
        column("quantity", _QUANTITY + ", units per bundle, per bundle", required=True),
    ),
)  # fmt: skip
SUPPLIERS: Final = Role(
    "suppliers",
    (
        column("supplier", _SUPPLIER + ", supplier code, supplier id", required=True),
        column("lead_time_days", "lead time days, lead time, leadtime, lieferzeit, lieferzeit tage, "
               "wiederbeschaffungszeit, "
            "délai, délai de livraison, délai jours, plazo, plazo de entrega, tempo di consegna, levertijd, "
               "levertijd dagen, prazo de entrega, ledtid, leveranstid", required=True),
        column("name", "name, supplier name"),
        column("lead_time_sd_days", "lead time sd, lead time sd days, lead time std"),
        column("review_days", "review days, days between orders, bestellrhythmus"),
        column("order_weekdays", "order weekdays, order days, bestelltage"),
        column("minimum_order_value", "min order value, minimum order value, minimum order, mindestbestellwert, "
               "minimum de commande, pedido mínimo, ordine minimo, minimale bestelwaarde"),
        column("currency", "currency, währung, devise, moneda, valuta"),
        column("closed_from", "closed from, closed_from"),
        column("closed_to", "closed to, closed_to"),
    ),
)  # fmt: skip
OPEN_ORDERS: Final = Role(
    "open_orders",
    (
        column("purchase_order", "po, purchase order, po number, purchase order number, bestellung, bestellnummer, "
               "commande fournisseur, orden de compra, ordine di acquisto, inkooporder, ordem de compra, "
               "inköpsorder", required=True),
        column("product", _PRODUCT, required=True),
        column("quantity", _QUANTITY + ", quantity ordered, ordered, bestellmenge", required=True),
        column("expected_on", "expected, expected on, expected date, eta, due, due date, delivery date, liefertermin, "
               "lieferdatum, erwartet, date de livraison, fecha de entrega, data di consegna, leverdatum, "
               "data de entrega, leveransdatum",
               required=True),
        column("warehouse", _WAREHOUSE),
        column("supplier", _SUPPLIER),
        column("quantity_received", "received, quantity received, qty received"),
        column("unit_cost", _COST + ", " + _PRICE),
        column("ordered_on", "ordered on, order date, ordered at, bestelldatum, besteldatum"),
    ),
)  # fmt: skip
EVENTS: Final = Role(
    "events",
    (
        column("name", "name, event, event name, promotion, aktion, événement, evento, evenement", required=True),
        column("starts_on", "from, start, starts on, start date, von, beginn, de, du, début, desde, inicio, da, "
               "inizio, van, início, från", required=True),
        column("ends_on", "to, end, ends on, end date, bis, ende, au, à, fin, hasta, fine, tot, until, até, fim, "
               "till, slut", required=True),
        column("kind", "kind, type, art, typ, tipo, soort"),
        column("scope", "scope, applies to, geltungsbereich"),
        column("scope_kind", "scope kind"),
    ),
)  # fmt: skip

SCOPES: Final = ("shop", "category", "product", "warehouse", "supplier")
_EVENT_KIND_WORDS: Final = {
    "promotion": "promotion promo sale aktion rabattaktion action offre promocion oferta promozione offerta actie",
    "holiday": "holiday feiertag ferie ferien vacances festivo feriado fiesta festivita vacanza feestdag vakantie",
    "closure": "closure closed schliessung geschlossen betriebsferien fermeture ferme cierre cerrado chiusura chiuso "
               "sluiting gesloten",
}  # fmt: skip
_SCOPE_WORDS: Final = {
    "shop": "shop all everything laden geschaft alles boutique tout tienda todo negozio tutto winkel",
    "category": "category kategorie warengruppe categorie famille categoria familia",
    "product": "product sku artikel produkt produit article producto articulo prodotto articolo",
    "warehouse": "warehouse location lager filiale entrepot magasin almacen magazzino magazijn",
    "supplier": "supplier vendor lieferant fournisseur proveedor fornitore leverancier",
}
_EVENT_KIND_OF: Final = {word: kind for kind, words in _EVENT_KIND_WORDS.items() for word in words.split()}
_SCOPE_OF: Final = {word: kind for kind, words in _SCOPE_WORDS.items() for word in words.split()}
_WEEKDAYS: Final = {
    "mon": "mon monday montag mo lundi lun lunes lunedi maandag ma 1",
    "tue": "tue tuesday dienstag di mardi mar martes martedi dinsdag 2",
    "wed": "wed wednesday mittwoch mi mercredi mer miercoles mie mercoledi woensdag wo 3",
    "thu": "thu thursday donnerstag do jeudi jeu jueves jue giovedi gio donderdag 4",
    "fri": "fri friday freitag fr vendredi ven viernes vie venerdi vrijdag vr 5",
    "sat": "sat saturday samstag sa samedi sam sabado sab sabato zaterdag za 6",
    "sun": "sun sunday sonntag so dimanche dim domingo dom domenica zondag zo 7",
}
_WEEKDAY_OF: Final = {word: day for day, words in _WEEKDAYS.items() for word in words.split()}

Frames = dict[str, pl.DataFrame]


class Canonical:
    """Reads Shelfwise's own tables."""

    name = "canonical"
    roles = (SALES, STOCK, PRODUCTS, BUNDLES, SUPPLIERS, OPEN_ORDERS, EVENTS)

    def read(self, tables: Mapping[str, Sequence[Sieve]], options: Options) -> Part:
        """Turn the tables into the declared frames of the same meaning."""
        frames: Frames = {}
        receipts: list[FileReceipt] = []
        for role in (SUPPLIERS, PRODUCTS, BUNDLES, OPEN_ORDERS, STOCK, SALES, EVENTS):
            sieves = tables.get(role.name, ())
            if not sieves:
                continue
            made, counts = _READERS[role.name](sieves, options, frames)
            for name, frame in made.items():
                frames[name] = pl.concat([frames[name], frame], how="diagonal_relaxed") if name in frames else frame
            receipts += [
                sieve.receipt(self.name, role.name, booked=counts[number] if counts else None)
                for number, sieve in enumerate(sieves)
            ]
        if "products" in frames:
            frames["products"] = (
                frames["products"]
                .group_by("product", maintain_order=True)
                .agg(pl.exclude("product").drop_nulls().first())
            )
        if "warehouses" in frames:
            frames["warehouses"] = frames["warehouses"].unique().sort("warehouse")
        return Part(frames, tuple(receipts))


Made = tuple[Frames, list[dict[str, int]]]


def _sales(sieves: Sequence[Sieve], options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        rows, exact = _sale_rows(sieve, number, options)
        if sieve.has("line_id"):
            rows = rows.with_columns(pl.col("own").alias("line_id"))
        elif sieve.has("order"):
            rows = row_key(rows, exact=True).with_columns((pl.col("own") + "/" + pl.col("line_id")).alias("line_id"))
        else:
            rows = row_key(rows, exact=exact)
            again = _shared(rows, exact)
            if again:
                sieve.notes.append(f"{again:,} row(s) share product, warehouse and date with another; each counts")
        parts.append(
            rows.select("file", "row", "line_id", "occurred_at", "product", "warehouse", "quantity", "unit_price")
        )
    rows = pl.concat(parts)
    if len(sieves) > 1 or sieves[0].has("line_id"):  # ids made for one file are unlike each other already
        rows = drop_repeats(sieves, rows)
    for sieve in sieves:
        sieve.refuse_if_mostly_bad()
    begun = launches(rows)
    sold = sale_or_return(drop_zeros(sieves, rows))
    made = {
        "movements": movements_frame(sold, "sales"),
        "warehouses": rows.select("warehouse").unique(),
    }
    if begun.height:
        made["products"] = begun
    return made, [booked(sold, number) for number in range(len(sieves))]


def _shared(rows: pl.DataFrame, exact: bool) -> int:
    """Return how many rows have the product, warehouse and moment of an earlier one."""
    if exact:
        return int(rows.height - rows.select(pl.struct("product", "warehouse", "occurred_at").n_unique()).item())
    return int(rows["line_id"].str.contains(r"#\d+$").sum())  # the id is made of just these, with repeats numbered


def _sale_rows(sieve: Sieve, file: int, options: Options) -> tuple[pl.DataFrame, bool]:
    product = sieve.code("product")
    moment = sieve.moment("occurred_at", required=True, past=True)
    quantity = sieve.number("quantity", required=True)
    price = optional_number(sieve, "unit_price")
    revenue = optional_number(sieve, "revenue")
    by_revenue = pl.select(pl.when(quantity != 0).then(revenue / quantity)).to_series()
    own = next((field for field in ("line_id", "order") if sieve.has(field)), None)
    columns = {
        "product": product,
        "warehouse": default_text(sieve, "warehouse", options.warehouse),
        "occurred_at": moment.values,
        "quantity": quantity,
        "unit_price": price if sieve.has("unit_price") else by_revenue,
        "own": sieve.code(own) if own else product,
    }
    sieve.refuse_if_mostly_bad()
    rows = from_sieve(sieve, file, columns)
    negative = pl.when(pl.col("unit_price") >= 0).then(pl.col("unit_price"))
    return rows.with_columns(negative.alias("unit_price")), moment.has_time


def _stock(sieves: Sequence[Sieve], options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        columns = {
            "product": sieve.code("product"),
            "warehouse": default_text(sieve, "warehouse", options.warehouse),
            "on_hand": _counted(sieve),
            "as_of": _as_of(sieve),
        }
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = pl.concat(parts).sort("as_of", descending=True, maintain_order=True)
    latest = rows.select(pl.struct("product", "warehouse").is_first_distinct()).to_series()
    mark(sieves, rows.filter(~latest), "is an earlier count of a product; only the latest is stock on hand")
    rows = rows.filter(latest).sort("product", "warehouse")
    return {
        "stock_levels": rows.select("product", "warehouse", "on_hand", "as_of"),
        "warehouses": rows.select("warehouse").unique(),
    }, []


def _counted(sieve: Sieve) -> pl.Series:
    """Return the units on hand; books below zero say that more was sold than was booked in: nothing is there."""
    # a list to fill in comes back in parts: what was not counted says nothing
    sieve.drop(sieve.text("on_hand").is_null(), "has no count; left as it was")
    units = sieve.number("on_hand", required=True)
    below = sieve.frame[LINE].filter((units < 0).fill_null(value=False))
    if len(below):
        first = ", ".join(str(line) for line in below.head(3)) + (", ..." if len(below) > 3 else "")
        sieve.notes.append(
            f"{len(below):,} row(s) have stock below zero, read as none on hand; count them (lines {first})"
        )
    return units.clip(0)


def _as_of(sieve: Sieve) -> pl.Series:
    """Return when each count was so: a date alone means the close of that day, no date the start of today."""
    today = sieve.today
    if not sieve.has("as_of"):
        if today is None:
            raise FileRefused(
                sieve.table.place(), "", "does not say when the stock was counted", "add a column as_of with the date"
            )
        sieve.notes.append(f"no column says when the stock was counted; taken as the start of {today}")
        return pl.repeat(today, sieve.frame.height, dtype=pl.Date, eager=True).cast(pl.Datetime("us"))
    moment = sieve.moment("as_of", required=True)
    if moment.has_time:
        return moment.values
    closing = moment.values + pl.duration(hours=23, minutes=59, seconds=59)
    over = moment.values.dt.date() < today if today is not None else moment.values.is_not_null()
    return pl.select(pl.when(over).then(closing).otherwise(moment.values).alias("as_of")).to_series()


def _products(sieves: Sequence[Sieve], _options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        columns: dict[str, pl.Series] = {"product": sieve.code("product")}
        for field in ("name", "category", "brand", "supplier", "replaces"):
            if sieve.has(field):
                columns[field] = sieve.text(field)
        if "replaces" in columns:
            columns["replaces"] = _another(sieve, columns["product"], columns["replaces"])
        for field in ("unit_cost", "price", "minimum_order_quantity", "pack_size"):
            if sieve.has(field):
                columns[field] = sieve.number(field, least=0)
        for field in ("launched_on", "discontinued_on"):
            if sieve.has(field) and sieve.frame[field].cast(pl.String).str.strip_chars().str.len_chars().sum():
                columns[field] = sieve.moment(field).values.dt.date()
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = pl.concat(parts, how="diagonal_relaxed")
    if "pack_size" in rows.columns:
        rows = rows.with_columns(pl.when(pl.col("pack_size") > 0).then(pl.col("pack_size")))
    rows = _first_of(sieves, rows, "product")
    return {"products": rows.drop("file", "row")}, []


def _another(sieve: Sieve, product: pl.Series, replaces: pl.Series) -> pl.Series:
    """Return what each product replaces; one that is said to replace itself replaces none."""
    itself = (product == replaces).fill_null(value=False)
    if itself.any():
        sieve.notes.append(f"{int(itself.sum()):,} product(s) are said to replace themselves; read as replacing none")
    return replaces.set(itself, None)


def _bundles(sieves: Sequence[Sieve], _options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        columns = {
            "bundle": sieve.code("bundle"),
            "component": sieve.code("component"),
            "quantity": sieve.number("quantity", required=True, least=0),
        }
        sieve.reject((columns["quantity"] == 0).fill_null(value=False), "quantity", "is none; a bundle needs some")
        itself = (columns["bundle"] == columns["component"]).fill_null(value=False)
        sieve.reject(itself, "component", "is the bundle itself")
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = _first_of(sieves, pl.concat(parts), "bundle", "component")
    return {"bundles": rows.drop("file", "row")}, []


def _first_of(sieves: Sequence[Sieve], rows: pl.DataFrame, *key: str) -> pl.DataFrame:
    first = rows.select(pl.struct(key).is_first_distinct()).to_series()
    mark(sieves, rows.filter(~first), f"repeats a {key[0].replace('_', ' ')}; the first line counts")
    return rows.filter(first)


def _suppliers(sieves: Sequence[Sieve], _options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        columns: dict[str, pl.Series] = {
            "supplier": sieve.code("supplier"),
            "lead_time_days": sieve.number("lead_time_days", least=0),
        }
        for field in ("name", "currency"):
            if sieve.has(field):
                columns[field] = sieve.text(field)
        for field, least in (("lead_time_sd_days", 0), ("minimum_order_value", 0), ("review_days", 1)):
            if sieve.has(field):
                columns[field] = sieve.number(field, least=least)
        if sieve.has("order_weekdays"):
            columns["order_weekdays"] = _weekdays(sieve)
        for field in ("closed_from", "closed_to"):
            if sieve.has(field) and sieve.text(field).is_not_null().any():
                columns[field] = sieve.moment(field).values.dt.date()
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = _first_of(sieves, pl.concat(parts, how="diagonal_relaxed"), "supplier")
    made = {"suppliers": rows.drop("file", "row", "closed_from", "closed_to", strict=False)}
    if {"closed_from", "closed_to"} <= set(rows.columns):
        closed = rows.filter(pl.col("closed_from") <= pl.col("closed_to"))
        made["calendar_events"] = closed.select(
            pl.lit("closure").alias("kind"),
            pl.format("{} closed", "supplier").alias("name"),
            pl.col("closed_from").alias("starts_on"),
            pl.col("closed_to").alias("ends_on"),
            pl.lit("supplier").alias("scope_kind"),
            pl.col("supplier").alias("scope"),
        )
    return made, []


def _weekdays(sieve: Sieve) -> pl.Series:
    """Return order weekdays as ``mon,thu``, read from day names or numbers (1 is Monday)."""
    cells = sieve.text("order_weekdays")
    words = (
        cells.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase().str.extract_all(r"[a-z]+|[1-7]")
    )
    days = words.list.eval(pl.element().replace_strict(_WEEKDAY_OF, default=None, return_dtype=pl.String))
    unreadable = days.list.eval(pl.element().is_null()).list.any() | (days.list.len() == 0)
    sieve.reject(unreadable, "order_weekdays", "is not a list of weekdays like mon,thu")
    return days.list.join(",", ignore_nulls=True)


def _open_orders(sieves: Sequence[Sieve], options: Options, frames: Frames) -> Made:
    parts = []
    known = frames.get("products", pl.DataFrame(schema={"product": pl.String, "supplier": pl.String}))
    for number, sieve in enumerate(sieves):
        product = sieve.code("product")
        columns = {
            "purchase_order": sieve.code("purchase_order"),
            "supplier": _order_supplier(sieve, product, known),
            "product": product,
            "warehouse": default_text(sieve, "warehouse", options.warehouse),
            "quantity": sieve.number("quantity", required=True, least=0),
            "quantity_received": optional_number(sieve, "quantity_received").fill_null(0.0),
            "unit_cost": optional_number(sieve, "unit_cost"),
            "expected_on": sieve.moment("expected_on").values.dt.date(),
        }
        if sieve.has("ordered_on"):
            columns["ordered_on"] = sieve.moment("ordered_on", past=False).values.dt.date()
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = pl.concat(parts, how="diagonal_relaxed")
    key = ["purchase_order", "product", "warehouse"]
    others = [c for c in rows.columns if c not in (*key, "file", "row", "quantity", "quantity_received")]
    summed = rows.group_by(key, maintain_order=True).agg(
        pl.col("quantity").sum(), pl.col("quantity_received").sum(), *(pl.col(c).first() for c in others)
    )
    received = pl.col("quantity_received") > 0
    status = pl.when(received).then(pl.lit("part_received")).otherwise(pl.lit("sent")).alias("status")
    return {"purchase_order_lines": summed.with_columns(status)}, []


def _order_supplier(sieve: Sieve, product: pl.Series, known: pl.DataFrame) -> pl.Series:
    given = sieve.code("supplier", required=False) if sieve.has("supplier") else pl.repeat(
        None, len(product), dtype=pl.String, eager=True
    )  # fmt: skip
    if "supplier" in known.columns:
        usual = known.select("product", pl.col("supplier").alias("usual"))
        usual_of = pl.DataFrame({"product": product}).join(usual, on="product", how="left", maintain_order="left")
        given = given.fill_null(usual_of["usual"])
    way_out = "has no supplier; add a column supplier, or give the products table with suppliers along"
    sieve.reject(given.is_null(), "supplier" if sieve.has("supplier") else "product", way_out)
    return given


def _events(sieves: Sequence[Sieve], _options: Options, _frames: Frames) -> Made:
    parts = []
    for number, sieve in enumerate(sieves):
        count = sieve.frame.height
        starts, ends = (sieve.moment(field, required=True).values.dt.date() for field in ("starts_on", "ends_on"))
        sieve.reject(ends < starts, "ends_on", "is before the event starts")
        kind = pl.repeat("promotion", count, dtype=pl.String, eager=True)
        if sieve.has("kind"):
            kind = _translated(sieve.text("kind"), _EVENT_KIND_OF).fill_null("promotion")
        sieve.reject(~kind.is_in(list(EVENT_KINDS)), "kind", f"is not one of {', '.join(EVENT_KINDS)}")
        scope_kind, scope = _scope(sieve)
        columns = {
            "kind": kind, "name": sieve.text("name", required=True), "starts_on": starts, "ends_on": ends,
            "scope_kind": scope_kind, "scope": scope,
        }  # fmt: skip
        sieve.refuse_if_mostly_bad()
        parts.append(from_sieve(sieve, number, columns))
    rows = pl.concat(parts)
    key = ["kind", "name", "starts_on", "scope_kind", "scope"]
    first = rows.select(pl.struct(key).is_first_distinct()).to_series()
    mark(sieves, rows.filter(~first), "repeats an event")
    return {"calendar_events": rows.filter(first).drop("file", "row")}, []


def _translated(cells: pl.Series, words: dict[str, str]) -> pl.Series:
    """Return our word for each cell that names it in one of the six languages; other cells stay as they are."""
    plain = cells.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_lowercase().str.replace_all("ß", "ss")
    return plain.replace(words)


def _scope(sieve: Sieve) -> tuple[pl.Series, pl.Series]:
    """Return what kind of thing an event applies to, and its code: ``category:Tea``, or two columns, or the shop."""
    nothing = pl.repeat(None, sieve.frame.height, dtype=pl.String, eager=True)
    scope = sieve.text("scope") if sieve.has("scope") else nothing
    kind = _translated(sieve.text("scope_kind"), _SCOPE_OF) if sieve.has("scope_kind") else nothing
    named = scope.str.extract(r"^(\pL+)\s*:")
    table = pl.DataFrame({"scope": scope, "kind": kind, "named": _translated(named, _SCOPE_OF)}).with_columns(
        pl.coalesce("kind", "named").alias("kind"),
        pl.when(pl.col("kind").is_null()).then(pl.col("scope").str.replace(r"^\pL+\s*:\s*", "")).otherwise("scope")
        .alias("scope"),
        (_translated(scope, _SCOPE_OF).fill_null("shop").is_in(["shop", ""])).alias("whole"),
    )  # fmt: skip
    whole = pl.col("whole")
    table = table.select(
        pl.when(whole & pl.col("kind").is_null()).then(pl.lit("shop")).otherwise("kind").alias("kind"),
        pl.when(~whole).then(pl.col("scope")).alias("scope"),
    )
    bad = ~table["kind"].is_in(list(SCOPES)).fill_null(value=False)
    sieve.reject(bad, "scope" if sieve.has("scope") else None,
                 "does not say what it applies to; write shop, or like category:Tea or product:A1")  # fmt: skip
    return table["kind"], table["scope"]


_READERS: Final[dict[str, Callable[[Sequence[Sieve], Options, Frames], Made]]] = {
    SALES.name: _sales, STOCK.name: _stock, PRODUCTS.name: _products, BUNDLES.name: _bundles,
    SUPPLIERS.name: _suppliers,
    OPEN_ORDERS.name: _open_orders, EVENTS.name: _events,
}  # fmt: skip
