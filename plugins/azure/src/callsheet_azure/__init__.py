"""Azure OpenAI: every operation of OpenAI's wire, with Azure's address, credentials and content filters."""

from callsheet_azure.filters import ContentFilter, ContentFilterError, FilterReport, filter_reports
from callsheet_azure.provider import AzureProvider
from callsheet_azure.settings import AzureSettings

__all__ = ["AzureProvider", "AzureSettings", "ContentFilter", "ContentFilterError", "FilterReport", "filter_reports"]
