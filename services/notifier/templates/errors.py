"""What templates can be refused for."""

from shared.errors import Conflict, InvalidFields, NotFound


class TemplateUnknown(NotFound, code="template_not_found"):
    """There is no template {template_id}."""


class TemplateWrong(InvalidFields, code="template_invalid"):
    """The template says what a template may not say."""


class TemplateReadOnly(Conflict, code="template_read_only"):
    """This is a template of the system, which cannot be changed; make your own from it."""


class TemplateNameTaken(Conflict, code="template_name_taken"):
    """There is a template named {name} already."""


class TemplateInUse(Conflict, code="template_in_use"):
    """This template is used by the dunning schedule {schedule}; change that first."""


class TooManyTemplates(Conflict, code="too_many_templates"):
    """A tenant can have at most {limit} templates of its own."""
