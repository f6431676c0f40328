from modeltranslation.translator import TranslationOptions, register

from tests.compatibility.packages.model_packages.models import Columns


@register(Columns)
class ColumnsOptions(TranslationOptions):
    fields = ["name"]
