"""HTTP in and out: routes as tables, bodies as structs, errors as RFC 9457."""
