"""Documents that people read: PDFs, their machine-readable twins, and the page where a customer pays."""
