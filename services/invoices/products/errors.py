"""What a product can be refused for."""

from shared.errors import Conflict, NotFound


class ProductUnknown(NotFound, code="product_not_found"):
    """There is no product {product_id}."""


class ProductArchived(Conflict, code="product_archived"):
    """This product is archived: it stands on invoices and cannot be changed any more."""
