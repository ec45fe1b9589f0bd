"""What is done: a function for each command and for each fact that is read, and the table of commands."""

from __future__ import annotations

from baton_chassis.commands import Command
from baton_chassis.work import HandlerOf
from baton_notification import commands
from baton_notification.handlers import deliveries, mailbox, offices, page, webhooks

COMMANDS: dict[type[Command], HandlerOf] = {
    commands.RegisterOffice: offices.register_office,
    commands.ChangeOffice: offices.change_office,
    commands.VerifyRoute: offices.verify_route,
    commands.PauseOffice: offices.pause_office,
    commands.ResumeOffice: offices.resume_office,
    commands.RegisterWebhook: webhooks.register_webhook,
    commands.ChangeWebhook: webhooks.change_webhook,
    commands.RotateSecret: webhooks.rotate_secret,
    commands.DeleteWebhook: webhooks.delete_webhook,
    commands.TestWebhook: webhooks.test_webhook,
    commands.ResendDelivery: deliveries.resend_delivery,
    commands.RecordAttempt: deliveries.record_attempt,
    commands.NoteOpened: page.note_opened,
    commands.SendCode: page.send_code,
    commands.VerifyCode: page.verify_code,
    commands.ContinueSession: page.continue_session,
    commands.NoteCardShown: page.note_card_shown,
    commands.ProveFetched: page.prove_fetched,
    commands.AcknowledgeReceipt: page.acknowledge_receipt,
    commands.CaptureMail: mailbox.capture_mail,
}
