"""Whom to tell when a run fails: mail and Slack through Airflow's notifiers, where the settings ask for it."""

from affect_tasks.settings import read_settings

_RUN = "Run {{ dag_run.run_id }} of {{ dag.dag_id }} failed"
_PLACE = "{{ conf.get('api', 'base_url', fallback='') }}/dags/{{ dag.dag_id }}/runs/{{ dag_run.run_id }}"


def build_notices() -> list:
    """List the notifiers of a failed run; none by default."""
    settings = read_settings()
    notices = []
    if settings.notify_emails:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        to = [address.strip() for address in settings.notify_emails.split(",")]
        notices.append(SmtpNotifier(to=to, subject=_RUN, html_content=f'{_RUN}: <a href="{_PLACE}">{_PLACE}</a>'))
    if settings.notify_slack:
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        notices.append(SlackWebhookNotifier(slack_webhook_conn_id="slack_default", text=f"{_RUN}: {_PLACE}"))
    return notices
