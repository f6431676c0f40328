"""
The plugin of mypy for projects that use django-stubs: the plugin of django-stubs, with
vinyl's types for what it adds to models.

    [tool.mypy]
    plugins = ["vinyl.mypy_plugin"]

Relations that only the other side declares, such as `artist.albums`, and models that
derive from Django's own Model, such as `User`, are dual-mode with it. In `async def`
functions it lets a dual-mode call be awaited only: see vinyl.mypy_awaits. Methods of
class-based views and of commands may be overridden by `async def` methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mypy.build import PRI_MYPY
from mypy.nodes import FuncDef, MypyFile, TypeInfo
from mypy.options import Options
from mypy.plugin import (
    ClassDefContext,
    FunctionContext,
    MethodContext,
    Plugin,
    ReportConfigContext,
)
from mypy.types import (
    AnyType,
    CallableType,
    Instance,
    Type,
    TypeOfAny,
    get_proper_type,
)
from mypy_django_plugin.lib import fullnames
from mypy_django_plugin.main import NewSemanalDjangoPlugin
from mypy_django_plugin.transformers.models import AddManagers

from vinyl.mypy_awaits import (
    DUAL,
    RequireAwait,
    find_value,
    is_await_required,
    returns_dual,
)

__all__ = ["VinylPlugin", "plugin"]

NO_LINE = -1
_MODEL = "vinyl.orm.types.models.Model"
_QUERYSETS = "vinyl.orm.types.querysets"
_RELATIONS = "vinyl.orm.types.relations"
_DESCRIPTORS = "django.db.models.fields.related_descriptors"

# The methods of Django's querysets, managers and forms that are dual-mode.
_DUAL_METHODS = frozenset(
    "add aggregate bulk_create bulk_update clear contains count create "
    "create_superuser create_user delete earliest exists explain first full_clean get "
    "get_or_create in_bulk is_valid last latest refresh_from_db remove save set update "
    "update_or_create".split()
)
_HAVE_DUAL_METHODS = (
    fullnames.MODEL_CLASS_FULLNAME,
    fullnames.QUERYSET_CLASS_FULLNAME,
    fullnames.BASE_MANAGER_CLASS_FULLNAME,
    fullnames.BASEFORM_CLASS_FULLNAME,
    "django.forms.formsets.BaseFormSet",
)
# Django's classes, and vinyl's with the same parameters.
_OURS = {
    fullnames.QUERYSET_CLASS_FULLNAME: f"{_QUERYSETS}.QuerySet",
    fullnames.MANAGER_CLASS_FULLNAME: f"{_QUERYSETS}.Manager",
    f"{_DESCRIPTORS}.RelatedManager": f"{_RELATIONS}.RelatedManager",
    f"{_DESCRIPTORS}.ManyRelatedManager": f"{_RELATIONS}.ManyRelatedManager",
}
# Classes of Django whose methods vinyl awaits, and these methods.
_HAVE_ASYNC_METHODS = (
    "django.contrib.auth.mixins.UserPassesTestMixin",
    "django.core.management.base.BaseCommand",
    "django.views.generic.base.ContextMixin",
    "django.views.generic.base.View",
)
_MAY_BE_ASYNC = (
    "dispatch form_invalid form_valid get_context_data get_dated_items get_object "
    "get_queryset handle handle_app_config handle_label paginate_queryset test_func"
).split()
# What django-stubs makes the classes of related managers from.
fullnames.RELATED_MANAGER_CLASS = _OURS[f"{_DESCRIPTORS}.RelatedManager"]  # type: ignore[misc]
fullnames.MANY_RELATED_MANAGER = _OURS[f"{_DESCRIPTORS}.ManyRelatedManager"]  # type: ignore[misc]


class VinylPlugin(NewSemanalDjangoPlugin):
    """
    The plugin of django-stubs, whose answers become vinyl's types.

    Args:
        options: Of mypy; they name the file with the settings of the plugin.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.is_await_required = is_await_required(options.config_file)

    def report_config_data(self, ctx: ReportConfigContext) -> dict[str, Any]:
        # mypy's cache of another setting is not used.
        return super().report_config_data(ctx) | {
            "require_await": self.is_await_required
        }

    def get_additional_deps(self, file: MypyFile) -> list[tuple[int, str, int]]:
        found = super().get_additional_deps(file)
        if file.fullname in self.django_context.model_modules:
            found += [
                (PRI_MYPY, name, NO_LINE)
                for name in ("vinyl.bridge.calls", _QUERYSETS, _RELATIONS)
            ]
        return found

    def get_function_hook(
        self, fullname: str
    ) -> Callable[[FunctionContext], Type] | None:
        hook = super().get_function_hook(fullname)
        return RequireAwait(hook) if self._must_await(fullname) else hook

    def get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        hook = self._get_method_hook(fullname)
        is_dual = isinstance(hook, _Answer) and hook.is_dual
        return RequireAwait(hook) if self._must_await(fullname, is_dual) else hook

    def _must_await(self, fullname: str, is_dual: bool = False) -> bool:
        # mypy asks no other plugin, its own neither, where this one gives a hook.
        return self.is_await_required and (is_dual or returns_dual(self, fullname))

    def _get_method_hook(self, fullname: str) -> Callable[[MethodContext], Type] | None:
        hook = super().get_method_hook(fullname)
        class_name, _, name = fullname.rpartition(".")
        if class_name.startswith(f"{_DESCRIPTORS}.") and name == "__get__":
            return _Answer(self, hook)
        info = find(self, class_name)
        if info is None or not any(map(info.has_base, _HAVE_DUAL_METHODS)):
            return hook
        # Methods of users say themselves what they return.
        owner = info.get_containing_type_info(name)
        if owner is None or not owner.fullname.startswith("django."):
            return hook
        return _Answer(self, hook, is_dual=name in _DUAL_METHODS)

    def get_base_class_hook(
        self, fullname: str
    ) -> Callable[[ClassDefContext], None] | None:
        hook = super().get_base_class_hook(fullname)
        if hook is None:
            return self._let_methods_be_async(fullname)

        def process(ctx: ClassDefContext) -> None:
            # django-stubs gives each model its `objects`, and each queryset its
            # `as_manager()`, unless a base class declares one.
            if ctx.cls.fullname == _MODEL:
                ctx.cls.info.names.pop("objects", None)
            if ctx.cls.fullname == _OURS[fullnames.QUERYSET_CLASS_FULLNAME]:
                ctx.cls.info.names.pop("as_manager", None)
            else:
                hook(ctx)

        return process

    def _let_methods_be_async(
        self, fullname: str
    ) -> Callable[[ClassDefContext], None] | None:
        """What a class derived from *fullname* needs in order to have such methods."""
        info = find(self, fullname)
        if info is None or not any(map(info.has_base, _HAVE_ASYNC_METHODS)):
            return None
        mro = info.mro

        def process(ctx: ClassDefContext) -> None:
            for base in mro:
                if base.fullname.startswith("django."):
                    _take_any_result(base)

        return process


def _take_any_result(info: TypeInfo) -> None:
    """Let methods return anything, so that an override may return a coroutine."""
    for name in _MAY_BE_ASYNC:
        node = info.names[name].node if name in info.names else None
        if isinstance(node, FuncDef) and isinstance(node.type, CallableType):
            anything = AnyType(TypeOfAny.explicit)
            node.type = node.type.copy_modified(ret_type=anything)


class _Answer:
    """
    What a method returns, in vinyl's types.

    Args:
        plugin: Finds vinyl's classes.
        hook: The hook of django-stubs for the method.
        is_dual: Whether the method is dual-mode.
    """

    def __init__(
        self,
        plugin: Plugin,
        hook: Callable[[MethodContext], Type] | None,
        is_dual: bool = False,
    ) -> None:
        self.plugin = plugin
        self.hook = hook
        self.is_dual = is_dual

    def __call__(self, ctx: MethodContext) -> Type:
        given = self._ours(ctx.default_return_type)
        if self.hook is not None:
            given = self._ours(self.hook(ctx._replace(default_return_type=given)))
        if self.is_dual:
            dual = find(self.plugin, DUAL)
            if dual is not None and find_value(given) is None:
                return Instance(dual, [given])
        return given

    def _ours(self, given: Type) -> Type:
        proper = get_proper_type(given)
        if isinstance(proper, Instance) and proper.type.fullname in _OURS:
            info = find(self.plugin, _OURS[proper.type.fullname])
            if info is not None:
                return Instance(info, proper.args, extra_attrs=proper.extra_attrs)
        return given


def find(plugin: Plugin, fullname: str) -> TypeInfo | None:
    """Return the class called *fullname* if mypy has read it."""
    symbol = plugin.lookup_fully_qualified(fullname)
    return symbol.node if symbol and isinstance(symbol.node, TypeInfo) else None


def _patch_lookup_manager() -> None:
    """Let vinyl's models that name no manager have vinyl's."""
    djangos = AddManagers.lookup_manager

    def lookup_manager(
        self: AddManagers, fullname: str, manager: Any
    ) -> TypeInfo | None:
        is_ours = self.model_classdef.info.has_base(_MODEL)
        return djangos(
            self, _OURS.get(fullname, fullname) if is_ours else fullname, manager
        )

    AddManagers.lookup_manager = lookup_manager  # type: ignore[method-assign]


_patch_lookup_manager()


def plugin(version: str) -> type[VinylPlugin]:
    """Return the plugin for mypy of *version*. Never switches."""
    return VinylPlugin
