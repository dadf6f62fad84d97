"""The words of WooCommerce: headers and statuses, which its exports write in the language of the site.

French headers of the orders report are from an export; other languages' as WooCommerce's translations show them, and a
version's word may be lacking: a mapping of the file says which column is which then.
"""

from __future__ import annotations

from typing import Final

from shelfwise.ingest.detect import normalised

DATE: Final = "date, Datum, Fecha, Data"
ORDER_NUMBER: Final = (
    "Order #, Order, Bestellung #, Bestellnr., Bestellnummer, Bestellung, Commande n°, Commande #, N° de commande, "
    "Commande, Pedido #, N.º de pedido, Número de pedido, Pedido, Ordine #, N. ordine, Ordine n., Ordine, "
    "Bestelling #, Bestelnummer, Bestelling, Pedido nº, Beställning #, Beställning"
)
STATUS: Final = "status, order_status, Order Status, État, Statut, Estado, Stato, Situação"
PACKED: Final = (
    "Product(s), Produkt(e), Produit(s), Producto(s), Prodotto/i, Prodotti, Prodotto(i), Product(en), Produto(s), "
    "Produkt(er)"
)
ITEMS_SOLD: Final = (
    "Items sold, Verkaufte Artikel, Verkaufte Produkte, Articles vendus, Artículos vendidos, Articoli venduti, "
    "Prodotti venduti, Verkochte items, Verkochte artikelen, Verkochte producten, Itens vendidos, Sålda artiklar"
)
TITLE: Final = (
    "Product title, Produkttitel, Produktname, Titre du produit, Título del producto, Titolo del prodotto, "
    "Titolo prodotto, Producttitel, Título do produto, Produkttitel"
)
SKU: Final = "SKU, UGS, Artikelnummer, Art.-Nr., COD, Código, Artikelnr"
CATEGORY: Final = "Category, Categories, Kategorie, Kategorien, Catégorie, Catégories, Categoría, Categorías, " \
                  "Categoria, Categorie, Categorieën, Categorias, Kategori, Kategorier"  # fmt: skip
STOCK: Final = (
    "Stock, Lager, Lagerbestand, Bestand, Inventario, Existencias, Magazzino, Giacenza, Voorraad, Estoque, Lagersaldo"
)
TYPE: Final = "type, Typ, Tipo"
NAME: Final = "name, Nom, Nombre, Nome, Naam, Namn"
PUBLISHED: Final = "published, Veröffentlicht, Publié, Publicado, Pubblicato, Gepubliceerd, Publicerad"
PRICE: Final = (
    "Regular price, Regulärer Preis, Tarif régulier, Prix régulier, Precio normal, Prezzo di listino, "
    "Reguliere prijs, Preço normal, Ordinarie pris"
)
COST: Final = (
    "Cost of goods, Cost of goods sold, Warenkosten, Coût des marchandises, Coste de los productos, "
    "Coste de las mercancías, Costo dei beni, Kosten van goederen, Custo das mercadorias, Meta: _wc_cog_cost, "
    "Meta: _alg_wc_cog_cost"
)
BRAND: Final = "Brands, Brand, Marken, Marke, Marques, Marque, Marcas, Marca, Marchi, Merken, Varumärken"
GROUPED: Final = (
    "Grouped products, Gruppierte Produkte, Produits groupés, Productos agrupados, Prodotti raggruppati, "
    "Gegroepeerde producten, Produtos agrupados, Grupperade produkter"
)
PARENT: Final = (
    "Parent, Übergeordnetes Produkt, Übergeordnet, Superior, Genitore, Hoofd, Bovenliggend, Ascendente, Förälder"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(map(normalised, text.split(",")))


SOLD_STATUSES: Final = _words(
    "completed, processing, shipped, delivered, dispatched, partially shipped, partial shipped, picked up, "
    "abgeschlossen, fertiggestellt, in bearbeitung, terminée, terminé, en cours, completado, procesando, completato, "
    "in lavorazione, afgerond, voltooid, in behandeling, verwerken, concluído, processando, em processamento, "
    "slutförd, färdigbehandlad, behandlas"
)
OTHER_STATUSES: Final = {
    "is of a cancelled order": _words(
        "cancelled, canceled, storniert, annulée, annulé, cancelado, annullato, cancellato, geannuleerd, avbruten, "
        "avbeställd"
    ),
    "is of a refunded order": _words(
        "refunded, rückerstattet, erstattet, remboursée, remboursé, reembolsado, rimborsato, terugbetaald, återbetald"
    ),
    "is of a failed order": _words(
        "failed, fehlgeschlagen, échouée, échoué, fallido, fallito, mislukt, malsucedido, falhou, misslyckad, "
        "misslyckades"
    ),
    "is of an order that is not paid yet; a later export brings it": _words(
        "pending, pending payment, on-hold, on hold, zahlung ausstehend, ausstehend, in wartestellung, "
        "attente paiement, en attente paiement, en attente de paiement, en attente, pendiente de pago, pendiente, "
        "en espera, in attesa di pagamento, in attesa, sospeso, wachtend op betaling, in de wacht, "
        "pagamento pendente, aguardando, inväntar betalning, väntar på betalning, pausad"
    ),
    "is of a draft or a thrown away order": _words("draft, checkout-draft, auto-draft, trash, entwurf, brouillon"),
}  # fmt: skip

# Of these an order does not become a sale again, as one that waits for its payment does.
OFF_STATUSES: Final = frozenset[str]().union(
    *(names for why, names in OTHER_STATUSES.items() if "not paid yet" not in why)
)


def status(word: str) -> str:
    """Return a status as it is compared: ``wc-on-hold`` is ``onhold``.

    >>> status("wc-on-hold") in OTHER_STATUSES["is of an order that is not paid yet; a later export brings it"]
    True
    """
    return normalised(word.strip().removeprefix("wc-"))
