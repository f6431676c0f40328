import io
import time

from constance import config
from django import forms
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import include, path
from django_otp import login as otp_login
from django_otp.decorators import otp_required
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_ratelimit.decorators import ratelimit
from formtools.wizard.views import SessionWizardView


class NameForm(forms.Form):
    name = forms.CharField()


class YearForm(forms.Form):
    year = forms.IntegerField()


class Wizard(SessionWizardView):
    form_list = [("name", NameForm), ("year", YearForm)]
    template_name = "site/wizard.html"

    def done(self, form_list, **kwargs):
        data = self.get_all_cleaned_data()
        return HttpResponse(f"{data['name']} {data['year']}")


def is_open(request):
    return JsonResponse({"open": config.OPEN})


def greeting(request):
    return HttpResponse(config.GREETING)


async def async_greeting(request):
    try:
        from vinyl.orm import run

        return HttpResponse(await run(getattr, config, "GREETING"))
    except ImportError:
        return HttpResponse(await config.GREETING)


@ratelimit(key="ip", rate="2/h")
def limited(request):
    return HttpResponse("ok")


def field(request):
    return render(request, "site/field.html", {"form": NameForm()})


def verify(request):
    device = TOTPDevice.objects.get(user=request.user)
    if device.verify_token(request.POST["token"]):
        otp_login(request, device)
    return HttpResponse(str(request.user.is_verified()))


@otp_required(login_url="/login/")
def verified(request):
    return HttpResponse("verified")


def who(request):
    return HttpResponse(f"{request.user.username} {request.user.is_hijacked}")


urlpatterns = [
    path("greeting/", greeting),
    path("open/", is_open),
    path("limited/", limited),
    path("field/", field),
    path("verify/", verify),
    path("verified/", verified),
    path("wizard/", Wizard.as_view()),
    path("hijack/", include("hijack.urls")),
    path("who/", who),
    path("", include("django_prometheus.urls")),
]


def step_constance(site):
    assert site.ok("/greeting/").text == "hello"
    config.GREETING = "good day"
    assert site.ok("/greeting/").text == "good day"


def step_constance_in_a_condition(site):
    assert site.ok("/open/").json() == {"open": False}
    config.OPEN = True
    assert site.ok("/open/").json() == {"open": True}


def step_ratelimit(site):
    statuses = [site.get("/limited/").status_code for _ in range(3)]
    assert statuses == [200, 200, 403]


def step_widget_tweaks(site):
    site.ok("/field/", 'class="wide"')


def step_otp(site):
    user = site.login()
    device = TOTPDevice.objects.create(user=user, name="phone", confirmed=True)
    assert site.get("/verified/").status_code == 302
    totp = TOTP(device.bin_key, device.step, device.t0, device.digits)
    totp.time = time.time()
    assert site.post("/verify/", data={"token": totp.token()}).text == "True"
    assert site.ok("/verified/").text == "verified"


def step_hijack(site):
    site.login("etta", is_superuser=False)
    site.login()
    etta = get_user_model().objects.get(username="etta")
    response = site.post("/hijack/acquire/", data={"user_pk": etta.pk, "next": "/who/"})
    assert response.status_code == 302, response.text[:300]
    assert site.ok("/who/").text == "etta True"
    site.post("/hijack/release/", data={"next": "/who/"})
    assert site.ok("/who/").text == "nina False"


def step_wizard(site):
    site.ok("/wizard/", "name of 2")
    data = {"wizard-current_step": "name", "name-name": "Nina"}
    assert "year of 2" in site.post("/wizard/", data=data).text
    data = {"wizard-current_step": "year", "year-year": "1965"}
    assert site.post("/wizard/", data=data).text == "Nina 1965"


def step_prometheus(site):
    site.ok("/metrics", "django_http_responses_total_by_status_total")


def step_extensions(site):
    output = io.StringIO()
    call_command("show_urls", stdout=output)
    assert "/wizard/" in output.getvalue()
