"""The pages."""

from django.contrib.auth import views as auth_views
from django.urls import path

from accounts.links import LinkPage
from accounts.registration import RegistrationPage
from accounts.sign_in import SignInPage
from realtime import account_page, journal_page, report_page, unlock_view, views

urlpatterns = [
    path("", views.fleet, name="fleet"),
    path("robots/<slug:slug>/", views.robot, name="robot-page"),
    path("sign-in/", SignInPage.as_view(), name="sign-in"),
    path("account/", account_page.account, name="account"),
    path("account/link/<uidb64>/<token>/", LinkPage.as_view(), name="account-link"),
    path("journal/", journal_page.journal, name="journal-page"),
    path("journal/chain/<str:request_id>/", journal_page.chain, name="journal-chain-page"),
    path("reports/", report_page.index, name="reports-page"),
    path("reports/<slug:report>/", report_page.page, name="report-page"),
    path("unlock/", unlock_view.unlock, name="unlock"),
    path("register/", RegistrationPage.as_view(), name="register"),
    path("sign-out/", auth_views.LogoutView.as_view(), name="sign-out"),
]
