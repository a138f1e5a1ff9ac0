"""`/v1/targets/{id}/preview` and `/test`: what would be sent, and whether the settings work."""

from __future__ import annotations

from app.api.authentication import ReadAccess, WriteAccess
from app.api.management_route import management_router
from app.api.problems import problem_responses
from app.api.schemas_trials import CheckAnswer, PreviewAnswer, PreviewTargetRequest
from app.api.services import ServicesOf
from app.api.targets import TargetId

router = management_router("targets/{target_id}", "Targets")


@router.post(
    "/test",
    summary="Find out whether a target's settings work",
    responses=problem_responses(404, 409, 422),
)
async def check_target(
    target_id: TargetId, _principal: WriteAccess, services: ServicesOf
) -> CheckAnswer:
    """Asks the destination now, harmlessly, and says in words what came of it.

    A CRM is asked for something with the credential, GA4's validation server and Meta's test
    events get an example, a webhook gets a signed `relay.ping` with `test` true.
    Nothing is stored; destinations without a harmless check say so, with `ok` null.
    """
    return CheckAnswer.model_validate(await services.checks.check(target_id))


@router.post(
    "/prepare",
    summary="Make in the destination what a target writes to",
    responses=problem_responses(404, 409, 422),
)
async def prepare_target(
    target_id: TargetId, _principal: WriteAccess, services: ServicesOf
) -> CheckAnswer:
    """Makes the fields that the connector's default mapping writes to.

    These are HubSpot's properties (of deals too where they are on), Brevo's attributes,
    Mailchimp's merge fields, and the custom fields of ActiveCampaign and of Pipedrive, whose keys
    the verdict says.
    What is there already is left as it is. The credential needs the right to make them
    (HubSpot's crm.schemas.contacts.write and crm.schemas.deals.write).
    """
    return CheckAnswer.model_validate(await services.checks.prepare(target_id))


@router.post(
    "/preview",
    summary="Show the requests an event would cause",
    responses=problem_responses(400, 404, 415, 422),
)
async def preview_target(
    target_id: TargetId,
    payload: PreviewTargetRequest,
    _principal: ReadAccess,
    services: ServicesOf,
) -> PreviewAnswer:
    """Shows what a delivery of a stored event, or of a catalogue example, would send now.

    Nothing is sent, reserved or stored. Secrets are masked; the mapping's values stand beside the
    requests; when nothing would be sent, `skipped` says why.
    """
    found = await services.previews.preview(
        target_id, event_id=payload.event_id, event_type=payload.event_type
    )
    return PreviewAnswer.model_validate(found)
