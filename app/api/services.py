"""The way from a request to the use-cases."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.services.bundle import Services


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(_services)]
