"""The reports of this floor, by name."""

from accounts.reports import Report, access_review, interventions, operations, record, security

REPORTS = {
    "access-review": Report(
        "Access review",
        "Who can do what on which robot, and why; rights nobody used, people who do nothing, tokens and roles to look at. "
        "Rights are as they are now; what was used is of the period.",
        access_review.make,
    ),
    "operations": Report(
        "Operations",
        "Commands: what was asked for, by whom, on which robot and in which shift, what came of it, and how long it took.",
        operations.make,
    ),
    "security": Report(
        "Security",
        "Failed sign-ins and lockouts, refused requests and orders, and every change of rights and credentials.",
        security.make,
    ),
    "interventions": Report(
        "Interventions",
        "Stops with the time until they were confirmed, resets, control taken from somebody, overrides, unknown outcomes.",
        interventions.make,
    ),
    "record": Report(
        "The record itself",
        "Rows, seals, gaps, late rows, archives, and what checks found. Of the whole record, whatever robot or person.",
        record.make,
    ),
}
