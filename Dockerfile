# One image; docker-compose.yml starts it once per process.
FROM python:3.11-slim-bookworm AS packages
COPY requirements.txt /
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /requirements.txt

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin robotctl && install -d -o robotctl -g robotctl -m 700 /data
COPY --from=packages /venv /venv
WORKDIR /app
COPY manage.py ./
COPY templates templates
COPY robotctl robotctl
COPY accounts accounts
COPY firmware firmware
COPY monitoring monitoring
COPY realtime realtime
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2 ROBOTCTL_VAR=/data ROBOTCTL_ASGI=uvicorn
USER robotctl
VOLUME /data
EXPOSE 8000
# exec form: signals reach the server. Proxies' headers are believed in the application only (TRUSTED_PROXIES).
CMD ["python", "-m", "uvicorn", "--host", "0.0.0.0", "--port", "8000", "--ws", "websockets", "--ws-ping-interval", "10", \
     "--ws-ping-timeout", "20", "--ws-per-message-deflate", "false", "--no-access-log", "--log-level", "warning", \
     "--timeout-graceful-shutdown", "10", "--no-proxy-headers", "--no-server-header", "robotctl.asgi:application"]
