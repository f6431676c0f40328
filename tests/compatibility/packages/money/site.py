from django import forms
from django.http import HttpResponse, JsonResponse
from django.urls import path
from djmoney.contrib.exchange.models import ExchangeBackend, Rate, convert_money
from djmoney.money import Money

from tests.compatibility.packages.money.models import Product


class ProductForm(forms.ModelForm):
    class Meta:
        model = Product
        fields = ["name", "price"]


def plain(request):
    products = Product.objects.filter(price=Money(5, "EUR"))
    return JsonResponse([str(product.price) for product in products], safe=False)


async def asynchronous(request):
    products = Product.objects.filter(price=Money(5, "EUR"))
    return JsonResponse([str(product.price) async for product in products], safe=False)


async def manager(request):
    product = await Product.objects.acreate(name="async", price=Money(7, "EUR"))
    found = await Product.objects.aget(price=Money(7, "EUR"))
    cheap = [product async for product in Product.objects.cheap()]
    return JsonResponse([found == product, len(cheap)], safe=False)


def add(request):
    form = ProductForm(request.POST)
    if not form.is_valid():
        return HttpResponse(form.errors.as_json(), status=400)
    return HttpResponse(form.save().price)


def exchange(request):
    return HttpResponse(convert_money(Money(10, "EUR"), "USD"))


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("manager/", manager),
    path("add/", add),
    path("exchange/", exchange),
]


def step_form(site):
    Product.objects.all().delete()
    data = {"name": "LP", "price_0": "5.00", "price_1": "EUR"}
    response = site.post("/add/", data=data)
    assert response.status_code == 200, response.text
    assert Product.objects.get().price == Money(5, "EUR")
    assert site.post("/add/", data={**data, "price_0": "x"}).status_code == 400


def step_plain_view(site):
    assert len(site.ok("/plain/").json()) == 1


def step_async_view(site):
    assert len(site.ok("/async/").json()) == 1


def step_manager_in_an_async_view(site):
    assert site.ok("/manager/").json() == [True, 2]


def step_exchange(site):
    backend = ExchangeBackend.objects.create(name="fixer.io", base_currency="EUR")
    Rate.objects.create(backend=backend, currency="USD", value="1.5")
    Rate.objects.create(backend=backend, currency="EUR", value="1")
    assert "15.00" in site.ok("/exchange/").text
