"""What the tests ask, and what a gateway that is well answers."""

from apiclient import (
    Operation,
    operations,
)
from tests.apiclient.fakes import (
    JOB,
    says,
)

HEALTHY = says(200, {"status": "healthy", "service": "saas-llm-api"})
JOB_BODY = {"job_id": JOB, "status": "PENDING"}
CREATE: Operation[object] = operations.create_job("acme", "chat")
HEALTH: Operation[object] = operations.health()
CALL: Operation[object] = operations.llm_call(
    JOB, model="m", messages=[{"role": "user"}]
)
SINGLE: Operation[object] = operations.create_and_call(
    "acme", "chat", model="m", messages=[]
)
COMPLETE: Operation[object] = operations.complete_job(JOB, "completed")
BALANCE: Operation[object] = operations.balance("acme")
