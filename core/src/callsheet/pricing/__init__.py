"""What calls cost, in whole micro-dollars (a millionth of a US dollar). What is not known is None, and never 0.

    book = PriceBook(Registry())
    price = book.price("acme", "gpt-5.4")             # out of the provider's own table, or the package genai-prices
    usage = usage_of(answer)                          # what the provider says was used
    cost = price.tokens(usage) if price and usage else None

Prices are data: a new model needs a row in its provider's table (`Provider.price_table`), and no code.
"""

from callsheet.pricing.book import PriceBook
from callsheet.pricing.charges import bound, charge_of_video
from callsheet.pricing.price import PRICE_FIELDS, Price, Rates
from callsheet.pricing.table import Row, rows_of
from callsheet.pricing.usage import Usage, usage_of

__all__ = [
    "PRICE_FIELDS",
    "Price",
    "PriceBook",
    "Rates",
    "Row",
    "Usage",
    "bound",
    "charge_of_video",
    "rows_of",
    "usage_of",
]
