"""What a receiver does: in-order delivery, answers, refusals."""
